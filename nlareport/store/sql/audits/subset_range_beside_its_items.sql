-- Graded subsets whose range does not hold as many items as they say.
-- Parameters: none.
-- Rows: target, subset, the range, the number stated and the one found.
WITH
graded AS (
    SELECT pair_id AS target, 'context' AS property, token_index AS value FROM alignment
    UNION ALL
    SELECT pair_id, 'norm', activation_norm FROM alignment
    UNION ALL
    SELECT pair_id, 'atypical', atypicality FROM activation
)
SELECT r.target, r.subset, r.low, r.high, r.n_items, count(g.value) AS n_found
FROM subset_range AS r
LEFT JOIN graded AS g
    ON g.target = r.target AND starts_with(r.subset, g.property || '_') AND g.value BETWEEN r.low AND r.high
GROUP BY r.target, r.subset, r.low, r.high, r.n_items
HAVING count(g.value) <> r.n_items
ORDER BY r.target, r.subset;
