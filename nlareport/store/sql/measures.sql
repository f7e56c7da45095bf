-- Each cell over all items in figures that can be compared between targets, one column a figure.
-- Kept with the columns it always had; `cell_measures` has every measure, one row each.
-- The centred cosine and identification need vectors, so a published or imported run has none of them.
-- Parameters: none.
-- Rows: a cell and its figures, as selected below; none when the run holds no such figure.
WITH
wide AS (
    SELECT
        source,
        target,
        max(value) FILTER (WHERE measure = 'centred_cosine') AS centred_cosine,
        max(ci_low) FILTER (WHERE measure = 'centred_cosine') AS centred_low,
        max(ci_high) FILTER (WHERE measure = 'centred_cosine') AS centred_high,
        max(chance) FILTER (WHERE measure = 'centred_cosine') AS centred_chance,
        max(value) FILTER (WHERE measure = 'identified_of_2') AS identified_of_2,
        max(ci_low) FILTER (WHERE measure = 'identified_of_2') AS of_2_low,
        max(ci_high) FILTER (WHERE measure = 'identified_of_2') AS of_2_high,
        max(value) FILTER (WHERE measure = 'identified_of_10') AS identified_of_10,
        max(ci_low) FILTER (WHERE measure = 'identified_of_10') AS of_10_low,
        max(ci_high) FILTER (WHERE measure = 'identified_of_10') AS of_10_high,
        max(value) FILTER (WHERE measure = 'identified_of_all') AS identified_of_all,
        max(ci_low) FILTER (WHERE measure = 'identified_of_all') AS of_all_low,
        max(ci_high) FILTER (WHERE measure = 'identified_of_all') AS of_all_high,
        max(value) FILTER (WHERE measure = 'ceiling_fraction') AS ceiling_fraction,
        max(ci_low) FILTER (WHERE measure = 'ceiling_fraction') AS ceiling_low,
        max(ci_high) FILTER (WHERE measure = 'ceiling_fraction') AS ceiling_high
    FROM measure
    GROUP BY source, target
)
SELECT
    w.source,
    w.target,
    s.label AS source_label,
    t.label AS target_label,
    w.source = w.target AS is_diagonal,
    c.fve_nrm,
    c.fve_meannorm,
    w.centred_cosine,
    w.centred_low,
    w.centred_high,
    w.centred_chance,
    w.identified_of_2,
    w.of_2_low,
    w.of_2_high,
    w.identified_of_10,
    w.of_10_low,
    w.of_10_high,
    w.identified_of_all,
    w.of_all_low,
    w.of_all_high,
    w.ceiling_fraction,
    w.ceiling_low,
    w.ceiling_high
FROM wide AS w
JOIN pair AS s ON s.pair_id = w.source
JOIN pair AS t ON t.pair_id = w.target
LEFT JOIN cell AS c ON c.source = w.source AND c.target = w.target AND c.subset = 'all'
ORDER BY s.ordinal, t.ordinal;
