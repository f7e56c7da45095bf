-- How many items each subset holds that is the same for every target.
-- Those of a target's graded subsets are in the table subset_range, those of tags in the query tags.
-- Parameters: none.
-- Rows: render.report.query_rows.SubsetSize.
SELECT
    subset,
    max(coalesce(n_scored, 0) + coalesce(n_unscored, 0)) AS n_items
FROM cell
WHERE n_scored IS NOT NULL AND subset NOT IN (SELECT subset FROM subset_range) AND NOT contains(subset, '=')
GROUP BY subset
ORDER BY list_position(['all', 'without_outliers', 'prose', 'punctuation', 'digits'], subset), subset;
