-- Base models in more than one family: one of the pairs is mislabelled.
-- Parameters: none.
-- Rows: base_model, its families and its pairs.
SELECT
    base_model,
    string_agg(DISTINCT family, ', ' ORDER BY family) AS families,
    string_agg(pair_id, ', ' ORDER BY pair_id) AS pair_ids
FROM pair
GROUP BY base_model
HAVING count(DISTINCT family) > 1
ORDER BY base_model;
