-- The largest difference between two values of a tag whose interval leaves out 0, over all cells.
-- Asks whether there is any. No answer unless some difference has an interval.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
compared AS (
    SELECT
        d.name,
        d.difference > 0 AS is_first_better,
        d.value,
        d.other_value,
        d.is_paired,
        abs(d.difference) AS size,
        CASE WHEN d.difference > 0 THEN [d.ci_low, d.ci_high] ELSE [-d.ci_high, -d.ci_low] END AS ends,
        d.ci_low > 0 OR d.ci_high < 0 AS is_apart,
        CASE WHEN d.source = d.target THEN s.label ELSE s.label || ' → ' || t.label END AS cell,
        s.ordinal AS source_ordinal,
        t.ordinal AS target_ordinal
    FROM tag_difference AS d
    JOIN pair AS s ON s.pair_id = d.source
    JOIN pair AS t ON t.pair_id = d.target
    WHERE d.ci_low IS NOT NULL AND d.ci_high IS NOT NULL
),
largest AS (
    FROM compared
    WHERE is_apart
    ORDER BY size DESC, source_ordinal, target_ordinal, name, value, other_value
    LIMIT 1
)
SELECT
    (SELECT CASE WHEN count(*) > 0 THEN bool_or(is_apart) END FROM compared) AS holds,
    CAST(json_object(
        'n', (SELECT count(*) FROM compared),
        'n_apart', (SELECT count(*) FROM compared WHERE is_apart),
        'cell', max(cell),
        'name', max(name),
        'better', max(CASE WHEN is_first_better THEN value ELSE other_value END),
        'worse', max(CASE WHEN is_first_better THEN other_value ELSE value END),
        'difference', max(size),
        'ends', max(ends),
        'where', CASE WHEN bool_or(is_paired) THEN ' of the same document' ELSE '' END
    ) AS VARCHAR) AS figures
FROM largest;
