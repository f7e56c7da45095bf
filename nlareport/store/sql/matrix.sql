-- Every cell of the matrix over one subset of items, row by row, also those without a value.
-- Parameters: $subset, such as all.
-- Rows: render.report.query_rows.MatrixCell.
SELECT
    s.pair_id AS source,
    t.pair_id AS target,
    s.label AS source_label,
    t.label AS target_label,
    CASE
        WHEN s.pair_id = t.pair_id THEN 'same-model'
        WHEN s.family = t.family THEN 'same-family'
        ELSE 'cross-family'
    END AS relation,
    c.fve_nrm,
    c.ci_low,
    c.ci_high,
    c.ceiling_fraction,
    c.null_fve,
    c.n_scored,
    c.n_unscored,
    d.fve_nrm AS ceiling
FROM pair AS s
CROSS JOIN pair AS t
LEFT JOIN cell AS c ON c.source = s.pair_id AND c.target = t.pair_id AND c.subset = $subset
LEFT JOIN cell AS d ON d.source = t.pair_id AND d.target = t.pair_id AND d.subset = $subset
ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id;
