-- What every source wrote of one item, with the score its own reconstructor gives it.
-- Of several draws the text is of the first, the score of all of them.
-- Parameters: $item_id.
-- Rows: render.report.query_rows.SampleExplanation.
SELECT
    p.pair_id AS source,
    p.label AS source_label,
    p.base_model,
    p.block_index,
    e.text,
    e.completion,
    e.is_clean,
    e.finish,
    j.mark,
    s.fve_nrm AS own_fve_nrm,
    p.pair_id IN (SELECT target FROM cell_kind) AS reads
FROM pair AS p
LEFT JOIN explanation AS e ON e.source = p.pair_id AND e.item_id = $item_id AND e.draw = 0
LEFT JOIN judged_answer AS j ON j.source = p.pair_id AND j.item_id = $item_id AND j.draw = 0
LEFT JOIN item_score AS s ON s.source = p.pair_id AND s.target = p.pair_id AND s.item_id = $item_id
WHERE p.pair_id IN (SELECT source FROM cell_kind)
ORDER BY p.ordinal, p.pair_id;
