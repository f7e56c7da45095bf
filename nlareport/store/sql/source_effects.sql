-- How good each source writes and how well each target reads, two ways.
-- The plain mean over a source's cross-model cells leaves out a different target for each source (its own). The
-- additive fit fve = level + source effect + target effect over all cross-model cells is fair to that; where they are
-- too few to tell the effects apart, those are NULL. Half a pair has the effects of its role alone. Intervals were
-- drawn when the run was scored; NULL where only figures are known.
-- Parameters: none.
-- Rows: render.report.query_rows.SourceEffect, best writer first.
SELECT
    fit.pair_id,
    p.label,
    fit.mean_as_source,
    fit.mean_as_target,
    fit.source_effect,
    s.ci_low AS source_low,
    s.ci_high AS source_high,
    fit.target_effect,
    t.ci_low AS target_low,
    t.ci_high AS target_high
FROM additive_fit AS fit
JOIN pair AS p ON p.pair_id = fit.pair_id
LEFT JOIN effect AS s ON s.pair_id = fit.pair_id AND s.role = 'source'
LEFT JOIN effect AS t ON t.pair_id = fit.pair_id AND t.role = 'target'
WHERE fit.mean_as_source IS NOT NULL OR fit.mean_as_target IS NOT NULL
ORDER BY fit.source_effect DESC NULLS LAST, fit.mean_as_source DESC NULLS LAST, p.ordinal;
