-- How many items that the file holds have a score in some cell.
-- Parameters: none.
-- Rows: render.report.heat_views.ScoredItems, exactly one.
SELECT count(DISTINCT item_id) AS n_items FROM item_score WHERE fve_nrm IS NOT NULL AND item_id IN (SELECT item_id FROM item);
