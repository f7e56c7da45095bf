-- The additive fit as a view.
-- The additive fit fve = level + source effect + target effect over all cross-model cells. With n pairs, row sum r and
-- column sum c of a pair, each less (n-1) times the level, its least-squares source effect is
-- ((n-1) r + c) / (n (n-2)), its target effect ((n-1) c + r) / (n (n-2)).
CREATE VIEW additive_fit AS
WITH
crossing AS (
    SELECT source, target, fve_nrm FROM cell WHERE subset = 'all' AND source <> target AND fve_nrm IS NOT NULL
),
whole AS (
    SELECT (SELECT count(*) FROM pair) AS n, count(*) AS n_cells, avg(fve_nrm) AS level FROM crossing
),
sums AS (
    SELECT
        p.pair_id,
        w.n,
        w.n >= 3 AND w.n_cells = w.n * (w.n - 1) AS is_whole,
        (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
        (SELECT avg(fve_nrm) FROM crossing WHERE target = p.pair_id) AS mean_as_target,
        (SELECT sum(fve_nrm) FROM crossing WHERE source = p.pair_id) - (w.n - 1) * w.level AS row_excess,
        (SELECT sum(fve_nrm) FROM crossing WHERE target = p.pair_id) - (w.n - 1) * w.level AS column_excess
    FROM pair AS p
    CROSS JOIN whole AS w
)
SELECT
    pair_id,
    mean_as_source,
    mean_as_target,
    CASE WHEN is_whole THEN ((n - 1) * row_excess + column_excess) / (n * (n - 2)) END AS source_effect,
    CASE WHEN is_whole THEN ((n - 1) * column_excess + row_excess) / (n * (n - 2)) END AS target_effect
FROM sums;
COMMENT ON VIEW additive_fit IS 'How good each pair writes and reads, two ways: one row per pair, worked out from cell.';
COMMENT ON COLUMN additive_fit.pair_id IS 'Pair.';
COMMENT ON COLUMN additive_fit.mean_as_source IS 'Mean fve_nrm of its cross-model cells as source; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.mean_as_target IS 'Mean fve_nrm of its cross-model cells as target; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.source_effect IS 'How far it lifts its cells as source; NULL with fewer than three pairs or a cross-model cell missing.';
COMMENT ON COLUMN additive_fit.target_effect IS 'How far it lifts its cells as target; NULL with fewer than three pairs or a cross-model cell missing.';
