-- Every cell over every subset of items, as a written number is looked up among them: those over all items first.
-- Parameters: none.
-- Rows: rows.Cell.
SELECT
    source, target, subset, n_scored, n_unscored, fve_nrm, ci_low, ci_high, fve_meannorm, median, trimmed_mean,
    share_below_zero, null_fve, ceiling_fraction
FROM cell
ORDER BY subset <> 'all', subset, source, target;
