-- The sentences stored with the run, as they were when it was made.
-- Parameters: none.
-- Rows: rows.run_rows.Claim.
SELECT claim_id, text, query, holds, figures
FROM claim
ORDER BY claim_id;
