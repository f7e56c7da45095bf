-- Every score that there is, item by item, to compare with another run's.
-- Parameters: none.
-- Rows: item_id, source, target, fve_nrm.
SELECT item_id, source, target, fve_nrm
FROM item_score
WHERE fve_nrm IS NOT NULL
ORDER BY item_id, source, target;
