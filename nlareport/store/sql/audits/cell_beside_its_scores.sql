-- Cells over all items whose fve_nrm is not the mean of their scores, where the file holds as many scores as the cell says.
-- Parameters: none.
-- Rows: cell, with the mean found.
WITH
means AS (
    SELECT source, target, count(fve_nrm) AS n_found, avg(fve_nrm) AS mean_fve_nrm
    FROM score
    GROUP BY source, target
),
-- How far rounding may have put each value off: the last decimal that any of its column has, once those that are
-- exact in single precision are read as such. At most 0.01: with fewer decimals nothing was rounded.
written AS (
    SELECT 'score' AS name, fve_nrm AS value FROM score
    UNION ALL
    SELECT 'cell' AS name, fve_nrm AS value FROM cell
),
rounded AS (
    SELECT name, least(0.01, pow(10, -max(length(split_part(
        CASE WHEN value = TRY_CAST(value AS FLOAT) THEN CAST(TRY_CAST(value AS FLOAT) AS VARCHAR) ELSE CAST(value AS VARCHAR) END,
        '.', 2
    ))))) AS step
    FROM written
    WHERE value IS NOT NULL
    GROUP BY name
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE name = 'score'), 0) AS score_step,
        coalesce(max(step) FILTER (WHERE name = 'cell'), 0) AS cell_step
    FROM rounded
)
SELECT c.source, c.target, c.fve_nrm, m.mean_fve_nrm
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target
CROSS JOIN rounding AS r
WHERE c.subset = 'all' AND c.n_scored = m.n_found
    AND abs(c.fve_nrm - m.mean_fve_nrm) > 1e-9 + r.score_step + r.cell_step
ORDER BY c.source, c.target;
