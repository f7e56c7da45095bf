-- What was done where a checkpoint leaves it open, or where the public release does otherwise, in the order of pairs.
-- Parameters: none.
-- Rows: render.report.run_conditions.ChoiceRow.
SELECT c.pair_id, p.label, c.role, c.topic, c.text
FROM choice AS c
JOIN pair AS p ON p.pair_id = c.pair_id
ORDER BY
    p.ordinal, p.pair_id, list_position(['base_model', 'verbalizer', 'reconstructor'], c.role), c.role, c.topic;
