-- What each baseline scores per target, compared with the target's diagonal under both denominators.
-- A baseline that ignores the source is the same in every cell of a target; otherwise its lowest and highest are given.
-- Parameters: none.
-- Rows: method, target, target_label, lowest, highest, ci_low, ci_high, diagonal_fve_nrm, diagonal_fve_meannorm.
SELECT
    b.method,
    b.target,
    any_value(t.label) AS target_label,
    min(b.fve_nrm) AS lowest,
    max(b.fve_nrm) AS highest,
    max(b.ci_low) FILTER (WHERE b.source = b.target) AS ci_low,
    max(b.ci_high) FILTER (WHERE b.source = b.target) AS ci_high,
    any_value(d.fve_nrm) AS diagonal_fve_nrm,
    any_value(d.fve_meannorm) AS diagonal_fve_meannorm
FROM baseline AS b
JOIN pair AS t ON t.pair_id = b.target
LEFT JOIN cell AS d ON d.source = b.target AND d.target = b.target AND d.subset = 'all'
WHERE b.fve_nrm IS NOT NULL
GROUP BY b.method, b.target
ORDER BY b.method, any_value(t.ordinal);
