-- The view additive_fit reads what is stored in `effect`, so that one place fits the effects: statistics/additive_effects.
-- A run file in which the cells are known but not their effects gets these, without intervals, with this migration.
DROP VIEW additive_fit;
CREATE VIEW additive_fit AS
WITH crossing AS (
    SELECT source, target, fve_nrm FROM cell WHERE subset = 'all' AND source <> target AND fve_nrm IS NOT NULL
)
SELECT
    p.pair_id,
    (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
    (SELECT avg(fve_nrm) FROM crossing WHERE target = p.pair_id) AS mean_as_target,
    s.effect AS source_effect,
    t.effect AS target_effect
FROM pair AS p
LEFT JOIN effect AS s ON s.pair_id = p.pair_id AND s.role = 'source'
LEFT JOIN effect AS t ON t.pair_id = p.pair_id AND t.role = 'target';
COMMENT ON VIEW additive_fit IS 'How good each pair writes and reads, two ways: one row per pair, from cell and effect.';
COMMENT ON COLUMN additive_fit.pair_id IS 'Pair.';
COMMENT ON COLUMN additive_fit.mean_as_source IS 'Mean fve_nrm of its cross-model cells as source; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.mean_as_target IS 'Mean fve_nrm of its cross-model cells as target; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.source_effect IS 'How far it lifts its cells as source; NULL with fewer than three pairs or a cross-model cell missing.';
COMMENT ON COLUMN additive_fit.target_effect IS 'How far it lifts its cells as target; NULL with fewer than three pairs or a cross-model cell missing.';

COMMENT ON TABLE effect IS 'How far a pair lifts its cells as source or target: the least-squares fit fve_nrm = level + source effect + target effect over all cross-model cells.';
COMMENT ON COLUMN effect.ci_low IS 'Lower end of the 95% percentile bootstrap over documents, the fit made again in each draw; NULL where only cells are known.';
COMMENT ON COLUMN effect.ci_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN cell.ceiling_fraction IS 'fve_nrm over the target''s diagonal of the same subset; NULL where that is not above 0, or not known.';
