-- Cells, baselines, learning curves, ablations, measures, effects, differences of tags and figures of draws whose
-- interval ends below where it begins.
-- Parameters: none.
-- Rows: source, target, what the interval is of, its ends.
SELECT source, target, subset AS interval_of, ci_low, ci_high
FROM cell
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, method, ci_low, ci_high
FROM baseline
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, method, ci_low, ci_high
FROM learning_curve
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, method, ci_low, ci_high
FROM ablation_cell
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, method || ' drop', drop_low, drop_high
FROM ablation_cell
WHERE drop_low > drop_high
UNION ALL
SELECT source, target, measure, ci_low, ci_high
FROM measure
WHERE ci_low > ci_high
UNION ALL
SELECT pair_id, pair_id, role, ci_low, ci_high
FROM effect
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, name || '=' || value || ' minus ' || other_value, ci_low, ci_high
FROM tag_difference
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, 'best of ' || k, ci_low, ci_high
FROM best_of_draws
WHERE ci_low > ci_high
UNION ALL
SELECT source, target, 'spread within items', within_low, within_high
FROM draw_spread
WHERE within_low > within_high
UNION ALL
SELECT source, target, 'spread between items', between_low, between_high
FROM draw_spread
WHERE between_low > between_high
UNION ALL
SELECT source, source, 'agreement of texts', ci_low, ci_high
FROM text_agreement
WHERE ci_low > ci_high
ORDER BY source, target, interval_of;
