-- How many content words of each source's explanations stand in the item's context, and by chance in another document's.
-- Parameters: none.
-- Rows: render.report.text_looks.SourceTexts; none of a run whose texts were not looked at.
SELECT
    t.source,
    p.label AS source_label,
    t.n_texts,
    t.n_compared,
    t.share_found,
    t.found_low,
    t.found_high,
    t.share_elsewhere,
    t.elsewhere_low,
    t.elsewhere_high
FROM text_summary AS t
JOIN pair AS p ON p.pair_id = t.source
ORDER BY p.ordinal, p.pair_id;
