-- What quick tests of each model said while the run computed with it.
-- Parameters: none.
-- Rows: checks.SelfTestRow.
SELECT
    t.pair_id,
    p.label AS pair_label,
    t.role,
    t.test,
    t.passed,
    t.value,
    t.tolerance,
    t.text
FROM self_test AS t
JOIN pair AS p ON p.pair_id = t.pair_id
ORDER BY p.ordinal, array_position(['base_model', 'verbalizer', 'reconstructor'], t.role), t.test;
