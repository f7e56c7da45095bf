-- How many items each pair flags as outliers, by reason.
-- An item may be flagged by several pairs, and for several reasons in one.
-- Parameters: none.
-- Rows: render.report.measure_tables.OutlierCount; none when the run does not say why its items were flagged.
SELECT
    p.pair_id,
    p.label,
    count(DISTINCT o.item_id) AS n_items,
    count(*) FILTER (WHERE o.reason = 'norm') AS n_norm,
    count(*) FILTER (WHERE o.reason = 'near_duplicate') AS n_near_duplicate,
    count(*) FILTER (WHERE o.reason = 'sink') AS n_sink,
    max(o.value) FILTER (WHERE o.reason = 'norm') AS largest_norm,
    CAST(max(o.value) FILTER (WHERE o.reason = 'near_duplicate') AS BIGINT) AS most_alike
FROM pair AS p
LEFT JOIN outlier AS o ON o.pair_id = p.pair_id
WHERE (SELECT count(*) FROM outlier) > 0
GROUP BY p.pair_id, p.label, p.ordinal
ORDER BY p.ordinal;
