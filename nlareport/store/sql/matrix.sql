-- Every cell of the matrix over one subset of items, row by row, also those without a value.
-- Rows are the pairs that write, columns those that read (the view cell_kind).
-- Parameters: $subset, such as all.
-- Rows: render.report.query_rows.MatrixCell.
SELECT
    k.source,
    k.target,
    s.label AS source_label,
    t.label AS target_label,
    k.relation,
    c.fve_nrm,
    c.ci_low,
    c.ci_high,
    c.ceiling_fraction,
    c.null_fve,
    c.n_scored,
    c.n_unscored,
    d.fve_nrm AS ceiling
FROM cell_kind AS k
JOIN pair AS s ON s.pair_id = k.source
JOIN pair AS t ON t.pair_id = k.target
LEFT JOIN cell AS c ON c.source = k.source AND c.target = k.target AND c.subset = $subset
LEFT JOIN cell AS d ON d.source = k.target AND d.target = k.target AND d.subset = $subset
ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id;
