-- Documents that gave no item, by reason.
-- Parameters: none.
-- Rows: render.report.query_rows.SkippedDocuments.
SELECT
    skipped_reason AS reason,
    count(*) AS n_documents
FROM document
WHERE skipped_reason IS NOT NULL
GROUP BY skipped_reason
ORDER BY n_documents DESC, reason;
