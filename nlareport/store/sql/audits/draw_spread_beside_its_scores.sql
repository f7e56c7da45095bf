-- Spreads of draws that are not those of the scores, where the file holds as many scores as the spread says.
-- One-way analysis of variance with items as groups; the component between items is 0 where it comes out below.
-- Parameters: none.
-- Rows: source, target, both spreads as they are stated and as they are found.
WITH
grouped AS (
    SELECT
        source,
        target,
        item_id,
        count(fve_nrm) AS n,
        avg(fve_nrm) AS item_mean,
        coalesce(var_samp(fve_nrm), 0) * (count(fve_nrm) - 1) AS squares
    FROM score
    WHERE fve_nrm IS NOT NULL
    GROUP BY source, target, item_id
),
centred AS (
    SELECT *, sum(n * item_mean) OVER cell / sum(n) OVER cell AS cell_mean
    FROM grouped
    WINDOW cell AS (PARTITION BY source, target)
),
squared AS (
    SELECT
        source,
        target,
        count(*) AS n_items,
        sum(n) AS n_scores,
        sum(squares) / nullif(sum(n) - count(*), 0) AS within_items,
        sum(n * (item_mean - cell_mean) ** 2) / nullif(count(*) - 1, 0) AS between_items,
        (sum(n) - sum(n * n) / sum(n)) / nullif(count(*) - 1, 0) AS draws_an_item
    FROM centred
    GROUP BY source, target
),
found AS (
    SELECT
        source,
        target,
        n_items,
        n_scores,
        sqrt(within_items) AS sd_within,
        sqrt(greatest(0, (between_items - within_items) / draws_an_item)) AS sd_between
    FROM squared
),
rounding AS (
    SELECT coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step
    FROM rounding_step
    WHERE place = 'score.fve_nrm'
)
SELECT d.source, d.target, d.sd_within, f.sd_within AS within_found, d.sd_between, f.sd_between AS between_found
FROM draw_spread AS d
JOIN found AS f ON f.source = d.source AND f.target = d.target AND f.n_items = d.n_items AND f.n_scores = d.n_scores
CROSS JOIN rounding AS r
WHERE abs(d.sd_within - f.sd_within) > 1e-6 + r.score_step
    -- A root of nearly nothing is moved far by little.
    OR abs(d.sd_between ** 2 - f.sd_between ** 2) > 1e-9 + (2 * f.sd_between + r.score_step) * (1e-6 + r.score_step)
ORDER BY d.source, d.target;
