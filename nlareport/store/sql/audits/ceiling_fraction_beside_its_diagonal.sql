-- Ceiling fractions that are not their cell's fve_nrm over their target's diagonal of the same subset.
-- Those of the cell table, and those of the measure table, which are over all items.
-- Parameters: none.
-- Rows: source, target, subset, the fraction stated and the one expected.
WITH
stated AS (
    SELECT source, target, subset, ceiling_fraction FROM cell
    UNION ALL
    SELECT source, target, 'all', value FROM measure WHERE measure = 'ceiling_fraction'
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'ceiling_fraction'), 0) AS fraction_step,
        coalesce(max(step) FILTER (WHERE place = 'cell.fve_nrm'), 0) AS cell_step
    FROM rounding_step
    WHERE place IN ('ceiling_fraction', 'cell.fve_nrm')
)
SELECT DISTINCT s.source, s.target, s.subset, s.ceiling_fraction, c.fve_nrm / d.fve_nrm AS expected_ceiling_fraction
FROM stated AS s
JOIN cell AS c ON c.source = s.source AND c.target = s.target AND c.subset = s.subset
JOIN cell AS d ON d.source = s.target AND d.target = s.target AND d.subset = s.subset
CROSS JOIN rounding AS r
WHERE s.ceiling_fraction IS NOT NULL AND d.fve_nrm > 0
    AND (
        c.fve_nrm IS NULL
        OR abs(s.ceiling_fraction - c.fve_nrm / d.fve_nrm)
            > 1e-9 + r.fraction_step + r.cell_step * (1 + abs(c.fve_nrm) / d.fve_nrm) / d.fve_nrm
    )
ORDER BY s.subset, s.source, s.target, s.ceiling_fraction;
