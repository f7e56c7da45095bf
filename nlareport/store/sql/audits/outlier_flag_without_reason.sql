-- Items flagged as outliers for which no pair gives a reason.
-- Nothing where the file gives no reasons at all: it may be older than them.
-- Parameters: none.
-- Rows: item_id, its document and token.
SELECT i.item_id, i.doc_id, i.token
FROM item AS i
WHERE i.is_outlier
    AND NOT EXISTS (SELECT 1 FROM outlier AS o WHERE o.item_id = i.item_id)
    AND EXISTS (SELECT 1 FROM outlier)
ORDER BY i.item_id;
