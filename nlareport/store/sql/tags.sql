-- What is said of items by name, and of how many items each: tags in order of name, the most frequent value first.
-- Parameters: none.
-- Rows: name, value, n_items.
SELECT name, value, count(*) AS n_items
FROM tag
GROUP BY name, value
ORDER BY name, n_items DESC, value;
