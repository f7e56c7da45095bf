-- Measures that are not what their items come to: centred cosine, identification among two and among all.
-- Parameters: none.
-- Rows: source, target, measure, the value stated and the one found.
WITH
folded AS (
    SELECT
        source,
        target,
        avg(centred_cosine) AS centred_cosine,
        avg((n_others - n_nearer) / n_others) FILTER (WHERE n_others > 0) AS of_2,
        avg(CAST(n_nearer = 0 AS INTEGER)) FILTER (WHERE n_others > 0) AS of_all
    FROM resemblance
    GROUP BY source, target, item_id
),
found AS (
    SELECT source, target, 'centred_cosine' AS measure, avg(centred_cosine) AS expected_value
    FROM folded
    GROUP BY source, target
    UNION ALL
    SELECT source, target, 'identified_of_2', avg(of_2)
    FROM folded
    GROUP BY source, target
    UNION ALL
    SELECT source, target, 'identified_of_all', avg(of_all)
    FROM folded
    GROUP BY source, target
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE place = 'measure.value'), 0) AS measure_step,
        coalesce(max(step) FILTER (WHERE place = 'resemblance.centred_cosine'), 0) AS item_step
    FROM rounding_step
    WHERE place IN ('measure.value', 'resemblance.centred_cosine')
)
SELECT m.source, m.target, m.measure, m.value, f.expected_value
FROM measure AS m
JOIN found AS f ON f.source = m.source AND f.target = m.target AND f.measure = m.measure
CROSS JOIN rounding AS r
WHERE f.expected_value IS NULL OR abs(m.value - f.expected_value) > 1e-9 + r.measure_step + r.item_step
ORDER BY m.source, m.target, m.measure;
