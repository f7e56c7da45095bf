-- How many explanations of an item each source wrote at most, and how alike they are as texts.
-- Parameters: none.
-- Rows: render.report.draw_tables.SourceDraws; none where no item has a second explanation.
SELECT
    e.source,
    any_value(p.label) AS source_label,
    max(e.draw) + 1 AS n_draws,
    count(*) AS n_explanations,
    any_value(a.n_items) AS n_items,
    any_value(a.jaccard) AS jaccard,
    any_value(a.ci_low) AS ci_low,
    any_value(a.ci_high) AS ci_high,
    any_value(a.chance) AS chance
FROM explanation AS e
JOIN pair AS p ON p.pair_id = e.source
LEFT JOIN text_agreement AS a ON a.source = e.source
GROUP BY e.source
HAVING max(e.draw) > 0
ORDER BY any_value(p.ordinal), e.source;
