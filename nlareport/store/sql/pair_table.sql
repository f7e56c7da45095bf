-- The pairs measured, in the order of rows and columns; writes and reads say whether the matrix has the row, the column.
-- Parameters: none.
-- Rows: rows.run_rows.Pair.
SELECT
    pair_id, label, family, base_model, block_index, d_model, injection_scale, mse_scale, variance_nrm, mean_norm,
    sidecar_variance_nrm, ordinal,
    pair_id IN (SELECT source FROM cell_kind) AS writes,
    pair_id IN (SELECT target FROM cell_kind) AS reads
FROM pair
ORDER BY ordinal, pair_id;
