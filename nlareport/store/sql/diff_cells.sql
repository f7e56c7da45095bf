-- The cells that have a row over all items, to be held against another run's.
-- Parameters: none.
-- Rows: rows.cell_rows.Cell.
SELECT
    source, target, subset, n_scored, n_unscored, fve_nrm, ci_low, ci_high, fve_meannorm, median, trimmed_mean,
    share_below_zero, null_fve, ceiling_fraction
FROM cell
WHERE subset = 'all'
ORDER BY source, target;
