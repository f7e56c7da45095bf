-- The run itself, as it is compared with another.
-- Parameters: none.
-- Rows: rows.run_rows.Run, exactly one.
SELECT
    run_id, title, series_name, series_number, kind, experiment_yaml, nlareport_version, schema_version, seed,
    created_at, environment, reducer
FROM run
ORDER BY run_id
LIMIT 1;
