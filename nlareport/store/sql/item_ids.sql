-- The ids of all items, in order.
-- Parameters: none.
-- Rows: render.pages.item_pages.ItemId.
SELECT item_id FROM item ORDER BY item_id;
