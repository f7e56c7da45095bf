-- How far the diagonals lie above their shuffled-pair nulls; where only a range of nulls was published, above its top.
-- Asks whether every one does. No answer unless the null of every diagonal is known.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
gap AS (
    SELECT
        t.label,
        t.ordinal,
        c.fve_nrm - coalesce(c.null_fve, TRY_CAST(run.environment ->> '$.nulls.max' AS DOUBLE)) AS value
    FROM cell AS c
    JOIN pair AS t ON t.pair_id = c.target
    CROSS JOIN run
    WHERE c.subset = 'all' AND c.source = c.target AND c.fve_nrm IS NOT NULL
),
ranked AS (
    SELECT *, row_number() OVER (ORDER BY value, ordinal) AS rank FROM gap
)
SELECT
    CASE WHEN count(*) > 0 AND count(value) = count(*) THEN min(value) > 0 END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE value > 0),
        'smallest_gap', min(value),
        'closest', max(label) FILTER (WHERE rank = 1)
    ) AS VARCHAR) AS figures
FROM ranked;
