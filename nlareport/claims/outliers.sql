-- How many items are flagged as outliers and which cell moves most when they are left out.
-- Asks whether any is flagged. No answer when items were not judged.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
judged AS (
    SELECT count(is_outlier) AS n, count(*) FILTER (WHERE is_outlier) AS n_outliers FROM item
),
moved AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        a.fve_nrm AS with_outliers,
        b.fve_nrm AS without_outliers,
        row_number() OVER (ORDER BY abs(b.fve_nrm - a.fve_nrm) DESC, s.ordinal, t.ordinal) AS rank
    FROM cell AS a
    JOIN cell AS b ON b.source = a.source AND b.target = a.target AND b.subset = 'without_outliers'
    JOIN pair AS s ON s.pair_id = a.source
    JOIN pair AS t ON t.pair_id = a.target
    WHERE a.subset = 'all' AND a.fve_nrm IS NOT NULL AND b.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN judged.n > 0 AND (judged.n_outliers = 0 OR moved.name IS NOT NULL)
        THEN judged.n_outliers > 0
    END AS holds,
    CAST(json_object(
        'n', judged.n,
        'n_outliers', judged.n_outliers,
        'cell', moved.name,
        'with_outliers', moved.with_outliers,
        'without_outliers', moved.without_outliers
    ) AS VARCHAR) AS figures
FROM judged
LEFT JOIN moved ON moved.rank = 1;
