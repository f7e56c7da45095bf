-- Items of which one source's verbalizer has not written in one draw yet, the first being draw 0.
-- Parameters: $source, $draw.
-- Rows: item ids.
SELECT i.item_id
FROM item AS i
ANTI JOIN explanation AS e ON e.item_id = i.item_id AND e.source = $source AND e.draw = $draw
ORDER BY i.item_id;
