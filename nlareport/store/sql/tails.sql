-- Every column of each cell over all items: with its mean the median, the trimmed mean, the share below 0, and the null.
-- Parameters: none.
-- Rows: render.report.query_rows.LabelledCell; none when the run knows nothing but the means.
SELECT c.*, s.label AS source_label, t.label AS target_label, c.source = c.target AS is_diagonal
FROM cell AS c
JOIN pair AS s ON s.pair_id = c.source
JOIN pair AS t ON t.pair_id = c.target
WHERE
    c.subset = 'all'
    AND coalesce(c.median, c.trimmed_mean, c.share_below_zero, c.fve_meannorm, c.null_fve) IS NOT NULL
ORDER BY s.ordinal, t.ordinal;
