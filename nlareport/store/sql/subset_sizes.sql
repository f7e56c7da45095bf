-- How many items each subset holds.
-- Parameters: none.
-- Rows: render.contexts.SubsetSize.
SELECT
    subset,
    max(coalesce(n_scored, 0) + coalesce(n_unscored, 0)) AS n_items
FROM cell
WHERE n_scored IS NOT NULL
GROUP BY subset
ORDER BY list_position(['all', 'without_outliers', 'prose', 'punctuation', 'digits'], subset), subset;
