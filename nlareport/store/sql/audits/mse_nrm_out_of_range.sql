-- Scores whose mse_nrm is no squared error of two directions: below 0 or above 4.
-- Parameters: none.
-- Rows: item_id, source, target, mse_nrm.
SELECT item_id, source, target, mse_nrm
FROM score
WHERE mse_nrm < -1e-9 OR mse_nrm > 4 + 1e-9
ORDER BY item_id, source, target;
