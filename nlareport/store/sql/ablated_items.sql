-- How many of the run's items, counted from the first, had their explanations changed and read again, and of how many.
-- The first is NULL where none was, or where the run does not hold the single readings.
-- Parameters: none.
-- Rows: render.report.ablation_tables.AblatedItems, exactly one.
SELECT
    nullif(count(*) FILTER (WHERE item_id <= (SELECT max(item_id) FROM ablation)), 0) AS n_changed,
    count(*) AS n_items
FROM item;
