-- How good each source writes and how well each target reads, two ways.
-- The plain mean over a source's cross-model cells leaves out a different target for each source (its own). The
-- additive fit fve = level + source effect + target effect over all cross-model cells is fair to that: with n pairs,
-- row sum r and column sum c of a pair, each less (n-1) times the level, its least-squares source effect is
-- ((n-1) r + c) / (n (n-2)), its target effect ((n-1) c + r) / (n (n-2)).
-- The fit needs three pairs and every cross-model cell; without them the effects are NULL. Their intervals were drawn
-- when the run was scored; NULL where only figures are known.
-- Parameters: none.
-- Rows: render.contexts.SourceEffect, best writer first.
WITH
crossing AS (
    SELECT source, target, fve_nrm FROM cell WHERE subset = 'all' AND source <> target AND fve_nrm IS NOT NULL
),
whole AS (
    SELECT
        (SELECT count(*) FROM pair) AS n,
        count(*) AS n_cells,
        avg(fve_nrm) AS level
    FROM crossing
),
sums AS (
    SELECT
        p.pair_id,
        p.label,
        p.ordinal,
        (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
        (SELECT avg(fve_nrm) FROM crossing WHERE target = p.pair_id) AS mean_as_target,
        (SELECT sum(fve_nrm) FROM crossing WHERE source = p.pair_id) - (w.n - 1) * w.level AS row_excess,
        (SELECT sum(fve_nrm) FROM crossing WHERE target = p.pair_id) - (w.n - 1) * w.level AS column_excess
    FROM pair AS p
    CROSS JOIN whole AS w
)
SELECT
    sums.pair_id,
    sums.label,
    sums.mean_as_source,
    sums.mean_as_target,
    CASE
        WHEN w.n >= 3 AND w.n_cells = w.n * (w.n - 1)
            THEN ((w.n - 1) * sums.row_excess + sums.column_excess) / (w.n * (w.n - 2))
    END AS source_effect,
    s.ci_low AS source_low,
    s.ci_high AS source_high,
    CASE
        WHEN w.n >= 3 AND w.n_cells = w.n * (w.n - 1)
            THEN ((w.n - 1) * sums.column_excess + sums.row_excess) / (w.n * (w.n - 2))
    END AS target_effect,
    t.ci_low AS target_low,
    t.ci_high AS target_high
FROM sums
CROSS JOIN whole AS w
LEFT JOIN effect AS s ON s.pair_id = sums.pair_id AND s.role = 'source'
LEFT JOIN effect AS t ON t.pair_id = sums.pair_id AND t.role = 'target'
WHERE sums.mean_as_source IS NOT NULL
ORDER BY source_effect DESC NULLS LAST, mean_as_source DESC, sums.ordinal;
