-- What each measure comes to by chance, from the lowest to the highest over all cells.
-- Of fve_nrm that is the shuffled-pair null; fve_meannorm is exactly 0 for the best constant guess, by construction.
-- Parameters: none.
-- Rows: render.report.measure_tables.MeasureChance.
SELECT 'fve_nrm' AS measure, min(null_fve) AS lowest, max(null_fve) AS highest
FROM cell
WHERE subset = 'all' AND null_fve IS NOT NULL AND (SELECT count(*) FROM measure) > 0
HAVING count(*) > 0
UNION ALL
SELECT measure, min(chance), max(chance)
FROM measure
WHERE chance IS NOT NULL
GROUP BY measure
ORDER BY measure;
