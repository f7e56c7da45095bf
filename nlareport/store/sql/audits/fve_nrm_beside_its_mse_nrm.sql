-- Scores whose fve_nrm is not 1 - mse_nrm / V of their target.
-- Parameters: none.
-- Rows: score, with the value expected.
WITH
-- How far rounding may have put each value off: the last decimal that any of its column has, once those that are
-- exact in single precision are read as such. At most 0.01: with fewer decimals nothing was rounded.
written AS (
    SELECT 'score' AS name, fve_nrm AS value FROM score
    UNION ALL
    SELECT 'mse' AS name, mse_nrm AS value FROM score
    UNION ALL
    SELECT 'variance' AS name, variance_nrm AS value FROM pair
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
        coalesce(max(step) FILTER (WHERE name = 'mse'), 0) AS mse_step,
        coalesce(max(step) FILTER (WHERE name = 'variance'), 0) AS variance_step
    FROM rounded
)
SELECT s.*, 1 - s.mse_nrm / p.variance_nrm AS expected_fve_nrm
FROM score AS s
JOIN pair AS p ON p.pair_id = s.target
CROSS JOIN rounding AS r
WHERE s.mse_nrm IS NOT NULL AND p.variance_nrm > 0
    AND (
        s.fve_nrm IS NULL
        OR abs(s.fve_nrm - (1 - s.mse_nrm / p.variance_nrm))
            > 1e-9 + r.score_step + (r.mse_step + abs(s.mse_nrm) * r.variance_step / p.variance_nrm) / p.variance_nrm
    )
ORDER BY s.item_id, s.source, s.target;
