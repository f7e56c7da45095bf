-- How many explanations are in a script that neither Latin nor their context is in: Chinese, when an injection failed.
-- Asks whether they are at least a twentieth of some source's; below that there is nothing to tell. An explanation whose
-- context is in the same script does not count. No answer when no text was looked at.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH strange AS (
    SELECT DISTINCT source, item_id, draw
    FROM text_sign
    WHERE sign IN ('cjk', 'other_script') AND in_context IS NOT TRUE
), counted AS (
    SELECT t.source, p.label, p.ordinal, t.n_texts, count(s.item_id) AS n_strange, count(s.item_id) / t.n_texts AS share
    FROM text_summary AS t
    JOIN pair AS p ON p.pair_id = t.source
    LEFT JOIN strange AS s ON s.source = t.source
    WHERE t.n_texts > 0
    GROUP BY t.source, p.label, p.ordinal, t.n_texts
), worst AS (
    FROM counted ORDER BY share DESC, ordinal LIMIT 1
), total AS (
    SELECT count(*) AS n, count(*) FILTER (WHERE share >= 0.05) AS n_above FROM counted
)
SELECT
    CASE WHEN total.n > 0 THEN worst.share >= 0.05 END AS holds,
    CAST(json_object(
        'source', worst.label,
        'n', total.n,
        'n_above', total.n_above,
        'n_texts', worst.n_texts,
        'n_strange', worst.n_strange,
        'share', worst.share
    ) AS VARCHAR) AS figures
FROM total
LEFT JOIN worst ON true;
