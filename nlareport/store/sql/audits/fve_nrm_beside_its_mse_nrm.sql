-- Scores whose fve_nrm is not 1 - mse_nrm / V of their target.
-- Parameters: none.
-- Rows: score, with the value expected.
SELECT s.*, 1 - s.mse_nrm / p.variance_nrm AS expected_fve_nrm
FROM score AS s
JOIN pair AS p ON p.pair_id = s.target
WHERE s.mse_nrm IS NOT NULL AND p.variance_nrm IS NOT NULL
    AND (s.fve_nrm IS NULL OR abs(s.fve_nrm - (1 - s.mse_nrm / p.variance_nrm)) > 1e-9)
ORDER BY s.item_id, s.source, s.target;
