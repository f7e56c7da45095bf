-- How well positions were carried into each pair's tokenization, and the norms found there.
-- The least left context is what positions are drawn with: 50 unless the run says otherwise.
-- Parameters: none.
-- Rows: render.report.query_rows.AlignmentExtremes.
SELECT
    a.pair_id,
    any_value(p.label) AS label,
    count(*) AS n_items,
    avg(abs(a.char_error::BIGINT)) AS mean_char_error,
    max(abs(a.char_error::BIGINT)) AS worst_char_error,
    min(a.token_index) AS lowest_left_context,
    any_value(asked.least) AS least_left_context,
    count(*) FILTER (WHERE a.token_index < asked.least) AS n_below_minimum,
    median(a.activation_norm) AS median_norm,
    max(a.activation_norm) AS largest_norm,
    CASE WHEN median(a.activation_norm) > 0
        THEN max(a.activation_norm) / median(a.activation_norm)
    END AS largest_over_median
FROM alignment AS a
JOIN pair AS p ON p.pair_id = a.pair_id
CROSS JOIN (SELECT coalesce(TRY_CAST(environment ->> '$.min_left_context' AS BIGINT), 50) AS least FROM run) AS asked
GROUP BY a.pair_id
ORDER BY any_value(p.ordinal);
