-- Cells over a stratum or without outliers whose fve_nrm is not the mean of the scores of these items.
-- Where the file holds as many scores as the cell says.
-- Parameters: none.
-- Rows: source, target, subset, the value stated and the mean found.
WITH member AS (
    SELECT item_id, stratum AS subset FROM item
    UNION ALL
    SELECT item_id, 'without_outliers' FROM item WHERE NOT is_outlier
),
means AS (
    SELECT s.source, s.target, m.subset, count(s.fve_nrm) AS n_found, avg(s.fve_nrm) AS mean_fve_nrm
    FROM score AS s
    JOIN member AS m ON m.item_id = s.item_id
    GROUP BY s.source, s.target, m.subset
)
SELECT c.source, c.target, c.subset, c.fve_nrm, m.mean_fve_nrm
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target AND m.subset = c.subset
WHERE c.n_scored = m.n_found AND abs(c.fve_nrm - m.mean_fve_nrm) > 1e-9
ORDER BY c.subset, c.source, c.target;
