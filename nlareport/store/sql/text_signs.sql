-- How many of each source's explanations show which sign of a text that went wrong, and for how many the context does too.
-- Of several draws each counts. The signs are explained at the column text_sign.sign.
-- Parameters: none.
-- Rows: render.report.text_looks.SignCount, one per source and per sign that any source shows; none without a sign.
WITH
shown AS (
    SELECT DISTINCT sign FROM text_sign
),
found AS (
    SELECT source, sign, count(*) AS n_found, count(*) FILTER (WHERE in_context) AS n_in_context
    FROM text_sign
    GROUP BY source, sign
)
SELECT
    t.source,
    p.label AS source_label,
    s.sign,
    t.n_texts,
    coalesce(f.n_found, 0) AS n_found,
    coalesce(f.n_found, 0) / t.n_texts AS share,
    coalesce(f.n_in_context, 0) AS n_in_context
FROM text_summary AS t
JOIN pair AS p ON p.pair_id = t.source
CROSS JOIN shown AS s
LEFT JOIN found AS f ON f.source = t.source AND f.sign = s.sign
WHERE t.n_texts > 0
ORDER BY p.ordinal, p.pair_id, s.sign;
