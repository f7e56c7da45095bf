-- Items with a reason to be an outlier that carry no flag: a norm over 4 times its pair's median, or a stored reason.
-- Nothing where no item was judged yet.
-- Parameters: none.
-- Rows: item_id, pair_id, the reason, the norm and the pair's median.
WITH
median_of AS (
    SELECT pair_id, median(activation_norm) AS median_norm FROM alignment GROUP BY pair_id
),
found AS (
    SELECT a.item_id, a.pair_id, 'norm' AS reason
    FROM alignment AS a
    JOIN median_of AS m ON m.pair_id = a.pair_id
    WHERE a.activation_norm > 4 * m.median_norm
    UNION
    SELECT item_id, pair_id, reason FROM outlier
)
SELECT f.item_id, f.pair_id, f.reason, a.activation_norm, m.median_norm
FROM found AS f
JOIN item AS i ON i.item_id = f.item_id
LEFT JOIN alignment AS a ON a.item_id = f.item_id AND a.pair_id = f.pair_id
LEFT JOIN median_of AS m ON m.pair_id = f.pair_id
WHERE i.is_outlier IS NOT TRUE AND EXISTS (SELECT 1 FROM item WHERE is_outlier IS NOT NULL)
ORDER BY f.item_id, f.pair_id, f.reason;
