-- Items one source's verbalizer has not been asked about yet.
-- Parameters: $source.
-- Rows: item ids.
SELECT i.item_id
FROM item AS i
ANTI JOIN explanation AS e ON e.item_id = i.item_id AND e.source = $source
ORDER BY i.item_id;
