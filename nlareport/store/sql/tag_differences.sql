-- How much better each cell does with one value of a tag than with another, with intervals: tag by tag, cells row by row.
-- Paired where documents hold items of both values; difference and interval are then of what is within documents.
-- Parameters: none.
-- Rows: render.report.tag_tables.LabelledDifference; none when no tag has two values with scores.
SELECT d.*, s.label AS source_label, t.label AS target_label, d.source = d.target AS is_diagonal
FROM tag_difference AS d
JOIN pair AS s ON s.pair_id = d.source
JOIN pair AS t ON t.pair_id = d.target
ORDER BY d.name, d.value, d.other_value, s.ordinal, t.ordinal;
