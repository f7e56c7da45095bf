-- How long every item's activation is in every pair: what shows whether two runs read the same activations.
-- Parameters: none.
-- Rows: item_id, pair_id, activation_norm.
SELECT item_id, pair_id, activation_norm
FROM alignment
ORDER BY item_id, pair_id;
