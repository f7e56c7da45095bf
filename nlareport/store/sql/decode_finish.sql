-- How each source's decodes ended.
-- Parameters: none.
-- Rows: render.contexts.DecodeFinish; none when the run holds no decode that was judged.
SELECT
    e.source,
    any_value(p.label) AS source_label,
    count(*) AS n_decodes,
    count(*) FILTER (WHERE e.is_clean) AS n_clean,
    count(*) FILTER (WHERE NOT e.is_clean AND e.finish = 'length') AS n_out_of_budget,
    count(*) FILTER (WHERE NOT e.is_clean AND e.finish IS DISTINCT FROM 'length') AS n_without_tag,
    CAST(median(e.n_tokens) AS DOUBLE) AS median_tokens,
    max(e.n_tokens) AS most_tokens
FROM explanation AS e
JOIN pair AS p ON p.pair_id = e.source
WHERE e.is_clean IS NOT NULL AND (SELECT bool_and(kind <> 'published') FROM run)
GROUP BY e.source
ORDER BY any_value(p.ordinal);
