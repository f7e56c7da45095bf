-- How far each cell's scores differ between the draws of an item, and between items: standard deviations in fve_nrm.
-- Parameters: none.
-- Rows: render.report.draw_tables.CellSpread; none where no item has a second scored draw.
WITH drawn AS (
    SELECT source, target, max(draw) + 1 AS n_draws FROM score GROUP BY source, target
)
SELECT
    d.source,
    d.target,
    s.label AS source_label,
    t.label AS target_label,
    d.source = d.target AS is_diagonal,
    drawn.n_draws,
    d.n_items,
    d.n_scores,
    d.sd_within,
    d.within_low,
    d.within_high,
    d.sd_between,
    d.between_low,
    d.between_high,
    d.share_within
FROM draw_spread AS d
JOIN pair AS s ON s.pair_id = d.source
JOIN pair AS t ON t.pair_id = d.target
LEFT JOIN drawn ON drawn.source = d.source AND drawn.target = d.target
ORDER BY s.ordinal, t.ordinal, d.source, d.target;
