-- Cells whose ceiling_fraction is not their fve_nrm over their target's diagonal of the same subset.
-- Parameters: none.
-- Rows: source, target, subset, the fraction stated and the one expected.
SELECT c.source, c.target, c.subset, c.ceiling_fraction, c.fve_nrm / d.fve_nrm AS expected_ceiling_fraction
FROM cell AS c
JOIN cell AS d ON d.source = c.target AND d.target = c.target AND d.subset = c.subset
WHERE c.ceiling_fraction IS NOT NULL AND d.fve_nrm > 0
    AND (c.fve_nrm IS NULL OR abs(c.ceiling_fraction - c.fve_nrm / d.fve_nrm) > 1e-9)
ORDER BY c.subset, c.source, c.target;
