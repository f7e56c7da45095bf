-- Each cell over the items with each value of each tag: tags in order of name, their values as texts, cells row by row.
-- Of a tag with many values there are cells of the most frequent.
-- Parameters: none.
-- Rows: render.report.tag_tables.TagCell; none when the run has no cells of tags.
SELECT
    v.name,
    v.value,
    v.n_items,
    c.source,
    c.target,
    s.label AS source_label,
    t.label AS target_label,
    c.source = c.target AS is_diagonal,
    c.n_scored,
    c.n_unscored,
    c.fve_nrm,
    c.ci_low,
    c.ci_high
FROM (SELECT name, value, name || '=' || value AS subset, count(*) AS n_items FROM tag GROUP BY name, value) AS v
JOIN cell AS c ON c.subset = v.subset
JOIN pair AS s ON s.pair_id = c.source
JOIN pair AS t ON t.pair_id = c.target
ORDER BY v.name, v.value, s.ordinal, t.ordinal;
