-- The cells that have a row over all items, to compare with another run's.
-- Parameters: none.
-- Rows: rows.cell_rows.Cell.
SELECT *
FROM cell
WHERE subset = 'all'
ORDER BY source, target;
