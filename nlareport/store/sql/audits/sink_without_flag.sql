-- Items with an activation longer than 4 times its pair's median norm that carry no outlier flag.
-- Nothing where no item was judged yet.
-- Parameters: none.
-- Rows: item_id, pair_id, the norm and the pair's median.
WITH median_of AS (
    SELECT pair_id, median(activation_norm) AS median_norm FROM alignment GROUP BY pair_id
)
SELECT a.item_id, a.pair_id, a.activation_norm, m.median_norm
FROM alignment AS a
JOIN median_of AS m ON m.pair_id = a.pair_id
JOIN item AS i ON i.item_id = a.item_id
WHERE a.activation_norm > 4 * m.median_norm
    AND i.is_outlier IS NOT TRUE
    AND EXISTS (SELECT 1 FROM item WHERE is_outlier IS NOT NULL)
ORDER BY a.item_id, a.pair_id;
