-- Every item that a pair flags, with its reasons and what became of it: sinks first, then the longest norms.
-- fve_home is of the pair reading its own text, fve_abroad the lowest score of any other target reading that text.
-- Parameters: none.
-- Rows: render.report.measure_tables.OutlierItem.
WITH
flagged AS (
    SELECT
        item_id,
        pair_id,
        max(value) FILTER (WHERE reason = 'norm') AS norm_over_median,
        CAST(max(value) FILTER (WHERE reason = 'near_duplicate') AS BIGINT) AS n_alike,
        count(*) FILTER (WHERE reason = 'sink') > 0 AS is_sink
    FROM outlier
    GROUP BY item_id, pair_id
),
scored AS (
    SELECT
        f.item_id,
        f.pair_id,
        max(s.fve_nrm) FILTER (WHERE s.target = f.pair_id) AS fve_home,
        min(s.fve_nrm) FILTER (WHERE s.target <> f.pair_id) AS fve_abroad
    FROM flagged AS f
    JOIN item_score AS s ON s.item_id = f.item_id AND s.source = f.pair_id
    GROUP BY f.item_id, f.pair_id
)
SELECT
    f.item_id,
    f.pair_id,
    p.label,
    i.token,
    f.norm_over_median,
    f.n_alike,
    f.is_sink,
    s.fve_home,
    s.fve_abroad
FROM flagged AS f
JOIN pair AS p ON p.pair_id = f.pair_id
JOIN item AS i ON i.item_id = f.item_id
LEFT JOIN scored AS s ON s.item_id = f.item_id AND s.pair_id = f.pair_id
ORDER BY f.is_sink DESC, f.norm_over_median DESC NULLS LAST, f.n_alike DESC NULLS LAST, f.item_id, p.ordinal;
