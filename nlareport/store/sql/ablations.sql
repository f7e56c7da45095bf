-- What each change to the explanations leaves of a cell's score and takes from it, below the texts as they were written.
-- The drop is paired: over the items scored both ways. As written, the method is as_written and there is no drop; it is
-- the value of the same items, with the cell's own interval where these are all the items it was scored on.
-- Parameters: none.
-- Rows: render.report.ablation_tables.AblationRow.
WITH written AS (
    SELECT
        a.source, a.target, 'as_written' AS method, -1 AS ordinal, a.n_scored,
        a.fve_nrm + a.fve_drop AS fve_nrm,
        CASE WHEN a.n_scored = c.n_scored THEN c.ci_low END AS ci_low,
        CASE WHEN a.n_scored = c.n_scored THEN c.ci_high END AS ci_high
    FROM ablation_cell AS a
    LEFT JOIN cell AS c ON c.source = a.source AND c.target = a.target AND c.subset = 'all'
    QUALIFY row_number() OVER (PARTITION BY a.source, a.target ORDER BY a.n_scored DESC, a.ordinal) = 1
), shown AS (
    SELECT source, target, method, ordinal, n_scored, fve_nrm, ci_low, ci_high, fve_drop, drop_low, drop_high
    FROM ablation_cell
    UNION ALL
    SELECT source, target, method, ordinal, n_scored, fve_nrm, ci_low, ci_high, NULL, NULL, NULL FROM written
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
