-- Sources whose number of texts, or share of words that stand in a context, is not what the rows of their explanations give.
-- Shares may have been rounded to two decimals.
-- Parameters: none.
-- Rows: source, the figure, the value stated and the one found.
WITH
compared AS (
    SELECT
        source,
        count(*) AS n_compared,
        avg(n_found / n_words) AS share_found,
        avg(n_found_elsewhere / n_words) AS share_elsewhere
    FROM context_overlap
    GROUP BY source
),
written AS (
    SELECT source, count(*) FILTER (WHERE text IS NOT NULL OR completion IS NOT NULL) AS n_texts
    FROM explanation
    GROUP BY source
),
figure AS (
    SELECT t.source, 'n_texts' AS figure, t.n_texts AS stated, coalesce(w.n_texts, 0) AS found
    FROM text_summary AS t
    LEFT JOIN written AS w ON w.source = t.source
    UNION ALL
    SELECT t.source, 'n_compared' AS figure, t.n_compared AS stated, coalesce(c.n_compared, 0) AS found
    FROM text_summary AS t
    LEFT JOIN compared AS c ON c.source = t.source
    UNION ALL
    SELECT t.source, 'share_found' AS figure, t.share_found AS stated, c.share_found AS found
    FROM text_summary AS t
    LEFT JOIN compared AS c ON c.source = t.source
    UNION ALL
    SELECT t.source, 'share_elsewhere' AS figure, t.share_elsewhere AS stated, c.share_elsewhere AS found
    FROM text_summary AS t
    LEFT JOIN compared AS c ON c.source = t.source
)
SELECT source, figure, stated, found
FROM figure
WHERE abs(stated - found) > 0.005 OR (stated IS NULL) <> (found IS NULL)
ORDER BY source, figure;
