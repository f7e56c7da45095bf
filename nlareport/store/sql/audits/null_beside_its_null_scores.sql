-- Cells whose null_fve is not that of their null scores, 1 - mean(mse_nrm) / V of the target.
-- Over all items and every subset. Nothing where the file holds no null score or V is not known.
-- Parameters: none.
-- Rows: source, target, subset, the null stated and the one found.
WITH member AS (
    SELECT item_id, 'all' AS subset FROM item
    UNION ALL
    SELECT item_id, stratum FROM item
    UNION ALL
    SELECT item_id, 'without_outliers' FROM item WHERE NOT is_outlier
),
means AS (
    SELECT n.source, n.target, m.subset, avg(n.mse_nrm) AS mean_mse_nrm
    FROM null_score AS n
    JOIN member AS m ON m.item_id = n.item_id
    GROUP BY n.source, n.target, m.subset
),
-- How far rounding may have put each value off: the last decimal that any of its column has, once those that are
-- exact in single precision are read as such. At most 0.01: with fewer decimals nothing was rounded.
written AS (
    SELECT 'null' AS name, null_fve AS value FROM cell
    UNION ALL
    SELECT 'mse' AS name, mse_nrm AS value FROM null_score
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
        coalesce(max(step) FILTER (WHERE name = 'null'), 0) AS null_step,
        coalesce(max(step) FILTER (WHERE name = 'mse'), 0) AS mse_step,
        coalesce(max(step) FILTER (WHERE name = 'variance'), 0) AS variance_step
    FROM rounded
)
SELECT c.source, c.target, c.subset, c.null_fve, 1 - m.mean_mse_nrm / p.variance_nrm AS null_fve_found
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target AND m.subset = c.subset
JOIN pair AS p ON p.pair_id = c.target
CROSS JOIN rounding AS r
WHERE p.variance_nrm > 0
    AND (
        c.null_fve IS NULL
        OR abs(c.null_fve - (1 - m.mean_mse_nrm / p.variance_nrm))
            > 1e-9 + r.null_step + (r.mse_step + m.mean_mse_nrm * r.variance_step / p.variance_nrm) / p.variance_nrm
    )
ORDER BY c.subset, c.source, c.target;
