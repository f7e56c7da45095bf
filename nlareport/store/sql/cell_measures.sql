-- Each cell over all items in figures that can be compared between targets: a row per cell and measure.
-- To the rows of the table `measure` come fve_nrm and fve_meannorm of the same cells. The centred cosine and
-- identification need vectors, so a published or imported run has none of them.
-- Parameters: none.
-- Rows: render.report.measure_tables.MeasureRow; none when the run holds no such figure.
WITH
shown AS (
    SELECT source, target, measure, value, ci_low, ci_high, chance, n_scored FROM measure
    UNION ALL
    SELECT source, target, 'fve_nrm', fve_nrm, ci_low, ci_high, null_fve, n_scored FROM cell WHERE subset = 'all'
    UNION ALL
    SELECT source, target, 'fve_meannorm', fve_meannorm, NULL, NULL, NULL, n_scored FROM cell WHERE subset = 'all'
)
SELECT
    m.source,
    m.target,
    s.label AS source_label,
    t.label AS target_label,
    m.source = m.target AS is_diagonal,
    m.measure,
    m.value,
    m.ci_low,
    m.ci_high,
    m.chance,
    m.n_scored
FROM shown AS m
JOIN pair AS s ON s.pair_id = m.source
JOIN pair AS t ON t.pair_id = m.target
SEMI JOIN measure AS has ON has.source = m.source AND has.target = m.target
WHERE m.value IS NOT NULL
ORDER BY s.ordinal, t.ordinal, m.measure;
