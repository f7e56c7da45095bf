-- Scores whose fve_nrm is not 1 - mse_nrm / V of their target.
-- Parameters: none.
-- Rows: score, with the value expected.
WITH
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step,
        coalesce(max(step) FILTER (WHERE place = 'score.mse_nrm'), 0) AS mse_step,
        coalesce(max(step) FILTER (WHERE place = 'pair.variance_nrm'), 0) AS variance_step
    FROM rounding_step
    WHERE place IN ('score.fve_nrm', 'score.mse_nrm', 'pair.variance_nrm')
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
