-- Why scores are missing, most frequent reason first.
-- Parameters: none.
-- Rows: render.report.query_rows.UnscoredReason.
SELECT
    unscored_reason AS reason,
    count(*) AS n_scores,
    count(DISTINCT item_id) AS n_items
FROM item_score
WHERE unscored_reason IS NOT NULL
GROUP BY unscored_reason
ORDER BY n_scores DESC, reason;
