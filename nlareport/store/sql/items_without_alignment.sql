-- Items whose place in one pair's tokenization is not stored yet.
-- Parameters: $pair_id.
-- Rows: item ids.
SELECT i.item_id
FROM item AS i
ANTI JOIN alignment AS a ON a.item_id = i.item_id AND a.pair_id = $pair_id
ORDER BY i.item_id;
