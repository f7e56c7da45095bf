-- The ids of all items, in order.
-- Parameters: none.
-- Rows: render.items.ItemId.
SELECT item_id FROM item ORDER BY item_id;
