-- Every cell over the subsets that are the same for every target, as a written number is looked up among them.
-- Those over all items come first. Graded subsets are left out: with their thousands of figures nearly any number of
-- three digits would be found somewhere.
-- Parameters: none.
-- Rows: rows.cell_rows.Cell.
SELECT *
FROM cell
WHERE subset NOT IN (SELECT subset FROM subset_range)
ORDER BY subset <> 'all', subset, source, target;
