-- How far the cells lie above their shuffled-pair nulls; where only a range of nulls was published, above its top.
-- Asks whether every cell lies above. No answer when no null is known.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH gap AS (
    SELECT
        coalesce(c.null_fve, TRY_CAST(run.environment ->> '$.nulls.max' AS DOUBLE)) AS null_high,
        coalesce(c.null_fve, TRY_CAST(run.environment ->> '$.nulls.min' AS DOUBLE)) AS null_low,
        c.fve_nrm - coalesce(c.null_fve, TRY_CAST(run.environment ->> '$.nulls.max' AS DOUBLE)) AS value
    FROM cell AS c
    CROSS JOIN run
    WHERE c.subset = 'all' AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(value) = count(*) THEN min(value) > 0 END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE value > 0),
        'null_low', min(null_low),
        'null_high', max(null_high),
        'smallest_gap', min(value)
    ) AS VARCHAR) AS figures
FROM gap;
