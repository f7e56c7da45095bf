-- The pairs measured, in the order of rows and columns.
-- Parameters: none.
-- Rows: rows.run_rows.Pair.
SELECT
    pair_id, label, family, base_model, block_index, d_model, injection_scale, mse_scale, variance_nrm, mean_norm,
    sidecar_variance_nrm, ordinal
FROM pair
ORDER BY ordinal, pair_id;
