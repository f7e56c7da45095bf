-- What a linear map between two pairs scores after so many training items, compared with what explanations score there.
-- Parameters: none.
-- Rows: render.charts.learning_chart.CurvePoint.
SELECT
    l.source,
    l.target,
    s.label AS source_label,
    t.label AS target_label,
    l.method,
    l.n_items,
    l.fve_nrm,
    l.ci_low,
    l.ci_high,
    c.fve_nrm AS language_fve_nrm
FROM learning_curve AS l
JOIN pair AS s ON s.pair_id = l.source
JOIN pair AS t ON t.pair_id = l.target
LEFT JOIN cell AS c ON c.source = l.source AND c.target = l.target AND c.subset = 'all'
WHERE l.fve_nrm IS NOT NULL
ORDER BY t.ordinal, s.ordinal, l.method, l.n_items;
