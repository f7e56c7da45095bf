-- Everything the run recorded about how it was made, one fact a row; the texts of sample cards left out.
-- Parameters: none.
-- Rows: render.report.run_conditions.EnvironmentFact.
SELECT
    replace(fullkey, '$.', '') AS key,
    CASE WHEN tree.type = 'VARCHAR' THEN tree.atom ->> '$' ELSE CAST(tree.atom AS VARCHAR) END AS value
FROM run, json_tree(run.environment) AS tree
WHERE tree.atom IS NOT NULL AND tree.type <> 'NULL' AND NOT starts_with(tree.fullkey, '$.samples')
ORDER BY tree.id;
