-- Each cell over quarters of the items, by left context, activation norm and atypicality of the target's activation.
-- Lists run from the lowest quarter to the highest; NULL stands for a quarter that equal values left without items.
-- Parameters: none.
-- Rows: render.report.measure_tables.GradedRow; none when the run's items were not graded.
WITH
place AS (
    SELECT
        t.pair_id AS target, t.label AS target_label, t.ordinal AS target_ordinal, p.property, p.ordinal AS property_ordinal,
        n.place, format('{}_{}', p.property, n.place) AS subset
    FROM pair AS t
    CROSS JOIN (VALUES ('context', 1), ('norm', 2), ('atypical', 3)) AS p (property, ordinal)
    CROSS JOIN (VALUES (1), (2), (3), (4)) AS n (place)
    WHERE
        t.pair_id IN (SELECT target FROM subset_range)
        -- Given vectors come after no tokens.
        AND (p.property <> 'context' OR NOT EXISTS (FROM run WHERE (environment ->> '$.vectors') = 'given'))
)
SELECT
    p.property,
    p.target,
    any_value(p.target_label) AS target_label,
    s.pair_id AS source,
    any_value(s.label) AS source_label,
    s.pair_id = p.target AS is_diagonal,
    list(r.low ORDER BY p.place) AS low,
    list(r.high ORDER BY p.place) AS high,
    list(r.n_items ORDER BY p.place) AS n_items,
    list(c.fve_nrm ORDER BY p.place) AS fve_nrm,
    list(c.ci_low ORDER BY p.place) AS ci_low,
    list(c.ci_high ORDER BY p.place) AS ci_high
FROM place AS p
JOIN cell_kind AS k ON k.target = p.target
JOIN pair AS s ON s.pair_id = k.source
LEFT JOIN subset_range AS r ON r.target = p.target AND r.subset = p.subset
LEFT JOIN cell AS c ON c.source = s.pair_id AND c.target = p.target AND c.subset = p.subset
GROUP BY p.property, p.target, s.pair_id
ORDER BY any_value(p.property_ordinal), any_value(p.target_ordinal), s.pair_id <> p.target, any_value(s.ordinal);
