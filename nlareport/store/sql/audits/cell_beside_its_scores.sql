-- Cells over all items whose fve_nrm is not the mean of their scores, where the file holds as many scores as the cell says.
-- Parameters: none.
-- Rows: cell, with the mean found.
WITH means AS (
    SELECT source, target, count(fve_nrm) AS n_found, avg(fve_nrm) AS mean_fve_nrm
    FROM score
    GROUP BY source, target
)
SELECT c.source, c.target, c.fve_nrm, m.mean_fve_nrm
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target
WHERE c.subset = 'all' AND c.n_scored = m.n_found AND abs(c.fve_nrm - m.mean_fve_nrm) > 1e-9
ORDER BY c.source, c.target;
