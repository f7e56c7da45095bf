-- Items with no score row in one cell; a row that says why it is unscored counts as there.
-- Parameters: $source, $target.
-- Rows: item ids.
SELECT i.item_id
FROM item AS i
ANTI JOIN score AS s ON s.item_id = i.item_id AND s.source = $source AND s.target = $target
ORDER BY i.item_id;
