-- Cells over all items whose fve_nrm is not the mean of their scores, where the file holds as many scores as the cell says.
-- Parameters: none.
-- Rows: cell, with the mean found.
WITH
means AS (
    SELECT source, target, count(fve_nrm) AS n_found, avg(fve_nrm) AS mean_fve_nrm
    FROM item_score
    GROUP BY source, target
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step,
        coalesce(max(step) FILTER (WHERE place = 'cell.fve_nrm'), 0) AS cell_step
    FROM rounding_step
    WHERE place IN ('score.fve_nrm', 'cell.fve_nrm')
)
SELECT c.source, c.target, c.fve_nrm, m.mean_fve_nrm
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target
CROSS JOIN rounding AS r
WHERE c.subset = 'all' AND c.n_scored = m.n_found
    AND abs(c.fve_nrm - m.mean_fve_nrm) > 1e-9 + r.score_step + r.cell_step
ORDER BY c.source, c.target;
