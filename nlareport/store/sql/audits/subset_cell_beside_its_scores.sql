-- Cells over a tag's value, a graded subset or without outliers whose fve_nrm is not the mean of the scores of these items.
-- Where the file holds as many scores as the cell says.
-- Parameters: none.
-- Rows: source, target, subset, the value stated and the mean found.
WITH
graded AS (
    SELECT item_id, pair_id AS target, 'context' AS property, token_index AS value FROM alignment
    UNION ALL
    SELECT item_id, pair_id, 'norm', activation_norm FROM alignment
    UNION ALL
    SELECT item_id, pair_id, 'atypical', atypicality FROM activation
),
member AS (
    SELECT item_id, pair_id AS target, subset FROM item_tag CROSS JOIN pair
    UNION ALL
    SELECT item_id, pair_id, 'without_outliers' FROM item CROSS JOIN pair WHERE NOT is_outlier
    UNION ALL
    SELECT g.item_id, g.target, r.subset
    FROM graded AS g
    JOIN subset_range AS r
        ON r.target = g.target AND starts_with(r.subset, g.property || '_') AND g.value BETWEEN r.low AND r.high
),
means AS (
    SELECT s.source, s.target, m.subset, count(s.fve_nrm) AS n_found, avg(s.fve_nrm) AS mean_fve_nrm
    FROM item_score AS s
    JOIN member AS m ON m.item_id = s.item_id AND m.target = s.target
    GROUP BY s.source, s.target, m.subset
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step,
        coalesce(max(step) FILTER (WHERE place = 'cell.fve_nrm'), 0) AS cell_step
    FROM rounding_step
    WHERE place IN ('score.fve_nrm', 'cell.fve_nrm')
)
SELECT c.source, c.target, c.subset, c.fve_nrm, m.mean_fve_nrm
FROM cell AS c
JOIN means AS m ON m.source = c.source AND m.target = c.target AND m.subset = c.subset
CROSS JOIN rounding AS r
WHERE c.n_scored = m.n_found AND abs(c.fve_nrm - m.mean_fve_nrm) > 1e-9 + r.score_step + r.cell_step
ORDER BY c.subset, c.source, c.target;
