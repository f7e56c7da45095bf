-- Every item with what tells it apart from others; of those a bundle only scored, no more than the number is known.
-- Parameters: none.
-- Rows: item_id, doc_id, char_end, token, context.
SELECT item_id, item.doc_id, item.char_end, item.token, item.context
FROM (SELECT item_id FROM item UNION SELECT item_id FROM score) AS known
LEFT JOIN item USING (item_id)
ORDER BY item_id;
