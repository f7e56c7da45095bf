-- What explanations score in each cell, and what other answers score on the same items.
-- The method language is the explanations themselves; the map from a pair to itself is not asked for.
-- Parameters: none.
-- Rows: render.report.baseline_tables.MethodScore.
WITH shown AS (
    SELECT source, target, 'language' AS method, fve_nrm, ci_low, ci_high FROM cell WHERE subset = 'all'
    UNION ALL
    SELECT source, target, method, fve_nrm, ci_low, ci_high FROM baseline
)
SELECT
    shown.source,
    shown.target,
    s.label AS source_label,
    t.label AS target_label,
    shown.source = shown.target AS is_diagonal,
    shown.method,
    shown.fve_nrm,
    shown.ci_low,
    shown.ci_high
FROM shown
JOIN pair AS s ON s.pair_id = shown.source
JOIN pair AS t ON t.pair_id = shown.target
SEMI JOIN baseline AS b ON b.source = shown.source AND b.target = shown.target
ORDER BY
    t.ordinal,
    s.ordinal,
    -- Plain text last, by its number of words.
    coalesce(nullif(list_position(['language', 'ridge', 'nearest_neighbour', 'best_constant'], shown.method), 0), 9),
    TRY_CAST(regexp_extract(shown.method, '[0-9]+') AS INTEGER),
    shown.method;
