-- What each change to the explanations leaves of a cell's score and takes from it, below the texts as they were written.
-- The drop is paired: over the items scored both ways. As written, the method is as_written and there is no drop.
-- Parameters: none.
-- Rows: render.contexts.AblationRow.
WITH shown AS (
    SELECT source, target, method, ordinal, n_scored, fve_nrm, ci_low, ci_high, fve_drop, drop_low, drop_high
    FROM ablation_cell
    UNION ALL
    SELECT c.source, c.target, 'as_written', -1, c.n_scored, c.fve_nrm, c.ci_low, c.ci_high, NULL, NULL, NULL
    FROM cell AS c
    SEMI JOIN ablation_cell AS a ON a.source = c.source AND a.target = c.target
    WHERE c.subset = 'all'
)
SELECT
    shown.source,
    shown.target,
    s.label AS source_label,
    t.label AS target_label,
    shown.source = shown.target AS is_diagonal,
    shown.method,
    shown.n_scored,
    shown.fve_nrm,
    shown.ci_low,
    shown.ci_high,
    shown.fve_drop,
    shown.drop_low,
    shown.drop_high
FROM shown
JOIN pair AS s ON s.pair_id = shown.source
JOIN pair AS t ON t.pair_id = shown.target
ORDER BY s.ordinal, t.ordinal, shown.ordinal, shown.method;
