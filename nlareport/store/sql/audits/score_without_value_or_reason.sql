-- Scores that neither have a value nor say why.
-- Parameters: none.
-- Rows: score.
SELECT s.*
FROM score AS s
WHERE s.mse_nrm IS NULL AND s.fve_nrm IS NULL AND s.unscored_reason IS NULL
ORDER BY s.item_id, s.source, s.target;
