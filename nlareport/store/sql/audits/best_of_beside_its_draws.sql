-- Best-of-k values that are not those of the scores of single draws, where the file holds these for as many items.
-- Of an item's n draws the one that beats r others, unscored ones among them, is the best of k in C(r, k - 1) of the
-- choices; they are counted by their logarithms.
-- Parameters: none.
-- Rows: source, target, k, the value stated and the one found.
WITH
drawn AS (
    SELECT
        source,
        target,
        item_id,
        fve_nrm,
        count(*) OVER item AS n_draws,
        row_number() OVER (PARTITION BY source, target, item_id ORDER BY fve_nrm NULLS FIRST, draw) - 1 AS n_below
    FROM score
    WINDOW item AS (PARTITION BY source, target, item_id)
),
weighed AS (
    SELECT
        d.source,
        d.target,
        b.k,
        d.item_id,
        d.fve_nrm,
        exp(lgamma(d.n_below + 1) - lgamma(d.n_below - b.k + 2) - lgamma(d.n_draws + 1) + lgamma(d.n_draws - b.k + 1))
            AS weight
    FROM drawn AS d
    JOIN best_of_draws AS b ON b.source = d.source AND b.target = d.target
    WHERE d.fve_nrm IS NOT NULL AND b.k <= d.n_draws AND d.n_below >= b.k - 1
),
best AS (
    SELECT source, target, k, item_id, sum(weight * fve_nrm) / sum(weight) AS fve_nrm
    FROM weighed
    GROUP BY source, target, k, item_id
),
found AS (
    SELECT source, target, k, count(*) AS n_items, avg(fve_nrm) AS fve_nrm
    FROM best
    GROUP BY source, target, k
),
rounding AS (
    SELECT coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step
    FROM rounding_step
    WHERE place = 'score.fve_nrm'
)
SELECT b.source, b.target, b.k, b.fve_nrm, f.fve_nrm AS fve_found
FROM best_of_draws AS b
JOIN found AS f ON f.source = b.source AND f.target = b.target AND f.k = b.k AND f.n_items = b.n_items
CROSS JOIN rounding AS r
WHERE abs(b.fve_nrm - f.fve_nrm) > 1e-7 + r.score_step
ORDER BY b.source, b.target, b.k;
