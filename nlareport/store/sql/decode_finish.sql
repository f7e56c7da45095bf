-- How each source's decodes ended, and how many are not clean for which reason; n_overrun are clean ones.
-- Parameters: none.
-- Rows: render.report.answer_notes.DecodeFinish; none when the run holds no decode that was judged.
SELECT
    e.source,
    any_value(p.label) AS source_label,
    count(*) AS n_decodes,
    count(*) FILTER (WHERE e.is_clean) AS n_clean,
    count(*) FILTER (WHERE j.mark = 'overrun') AS n_overrun,
    count(*) FILTER (WHERE j.mark = 'budget') AS n_out_of_budget,
    count(*) FILTER (WHERE j.mark IN ('unclosed_tag', 'unknown')) AS n_without_tag,
    count(*) FILTER (WHERE j.mark = 'unopened_tag') AS n_unopened,
    count(*) FILTER (WHERE j.mark = 'misspelt_tag') AS n_misspelt,
    count(*) FILTER (WHERE j.mark = 'no_tag') AS n_no_tag,
    count(*) FILTER (WHERE j.mark = 'empty') AS n_empty,
    CAST(median(e.n_tokens) AS DOUBLE) AS median_tokens,
    max(e.n_tokens) AS most_tokens
FROM explanation AS e
JOIN judged_answer AS j USING (source, item_id, draw)
JOIN pair AS p ON p.pair_id = e.source
WHERE e.is_clean IS NOT NULL AND (SELECT bool_and(kind <> 'published') FROM run)
GROUP BY e.source
ORDER BY any_value(p.ordinal);
