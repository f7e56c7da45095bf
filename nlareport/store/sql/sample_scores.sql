-- One item's score in every cell, row by row.
-- Parameters: $item_id.
-- Rows: render.report.query_rows.SampleScore.
SELECT
    s.pair_id AS source,
    t.pair_id AS target,
    s.label AS source_label,
    t.label AS target_label,
    s.pair_id = t.pair_id AS is_diagonal,
    score.fve_nrm,
    score.unscored_reason
FROM pair AS s
CROSS JOIN pair AS t
LEFT JOIN item_score AS score ON score.source = s.pair_id AND score.target = t.pair_id AND score.item_id = $item_id
ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id;
