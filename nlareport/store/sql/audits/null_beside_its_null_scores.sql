-- Cells whose null_fve is not that of their null scores, 1 - mean(mse_nrm) / V of the target.
-- Over all items and every subset. Nothing where the file holds no null score or V is not known.
-- Parameters: none.
-- Rows: source, target, subset, the null stated and the one found.
WITH member AS (
    SELECT item_id, 'all' AS subset FROM item
    UNION ALL
    SELECT item_id, subset FROM item_tag
    UNION ALL
    SELECT item_id, 'without_outliers' FROM item WHERE NOT is_outlier
),
folded AS (
    SELECT source, target, permutation, item_id, avg(mse_nrm) AS mse_nrm
    FROM null_score
    GROUP BY source, target, permutation, item_id
),
means AS (
    SELECT n.source, n.target, m.subset, avg(n.mse_nrm) AS mean_mse_nrm
    FROM folded AS n
    JOIN member AS m ON m.item_id = n.item_id
    GROUP BY n.source, n.target, m.subset
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'cell.null_fve'), 0) AS null_step,
        coalesce(max(step) FILTER (WHERE place = 'null_score.mse_nrm'), 0) AS mse_step,
        coalesce(max(step) FILTER (WHERE place = 'pair.variance_nrm'), 0) AS variance_step
    FROM rounding_step
    WHERE place IN ('cell.null_fve', 'null_score.mse_nrm', 'pair.variance_nrm')
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
