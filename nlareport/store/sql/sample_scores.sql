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
FROM cell_kind AS k
JOIN pair AS s ON s.pair_id = k.source
JOIN pair AS t ON t.pair_id = k.target
LEFT JOIN item_score AS score ON score.source = s.pair_id AND score.target = t.pair_id AND score.item_id = $item_id
ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id;
