-- What each cell scores when of k draws of every item the best is kept, against k.
-- Parameters: none.
-- Rows: render.charts.best_of_chart.BestPoint; none where no item has a second draw.
SELECT
    b.source,
    b.target,
    s.label AS source_label,
    t.label AS target_label,
    b.source = b.target AS is_diagonal,
    b.k,
    b.n_items,
    b.fve_nrm,
    b.ci_low,
    b.ci_high
FROM best_of_draws AS b
JOIN pair AS s ON s.pair_id = b.source
JOIN pair AS t ON t.pair_id = b.target
ORDER BY s.ordinal, t.ordinal, b.source, b.target, b.k;
