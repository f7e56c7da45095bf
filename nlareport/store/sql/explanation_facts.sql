-- What each source's explanations are like as texts, and whether the last thing they quote is the item.
-- The item's word is what its context ends in, back to the last white space; quotation marks inside a span are single.
-- Parameters: none.
-- Rows: render.report.query_rows.ExplanationFacts; none when the run holds no explanation.
WITH written AS (
    SELECT
        e.source,
        e.text,
        regexp_extract_all(e.text, '"([^"]*)"|“([^”]*)”') AS quotes,
        lower(replace(trim(i.token), '"', '''')) AS token,
        lower(replace(regexp_extract(i.context, '(\S+)\s*$', 1), '"', '''')) AS word
    FROM explanation AS e
    JOIN item AS i USING (item_id)
    WHERE e.text IS NOT NULL AND trim(e.text) <> '' AND (SELECT kind <> 'published' FROM run)
), judged AS (
    SELECT
        *,
        lower(trim(quotes[-1], ' "“”')) AS last_quote
    FROM written
)
SELECT
    j.source,
    any_value(p.label) AS source_label,
    count(*) AS n_explanations,
    count(DISTINCT j.text) AS n_distinct,
    count(DISTINCT j.text) / count(*) AS share_distinct,
    CAST(median(len(string_split_regex(trim(j.text), '\s+'))) AS DOUBLE) AS median_words,
    count(*) FILTER (WHERE len(j.quotes) > 0) / count(*) AS share_quoting,
    count(*) FILTER (WHERE regexp_extract(j.last_quote, '(\S+)$', 1) = j.word) / count(*) AS share_ending_on_word,
    count(*) FILTER (
        WHERE (j.token <> '' AND contains(j.last_quote, j.token))
        OR list_contains(string_split_regex(j.last_quote, '\s+'), j.word)
    ) / count(*) AS share_holding_item
FROM judged AS j
JOIN pair AS p ON p.pair_id = j.source
GROUP BY j.source
ORDER BY any_value(p.ordinal);
