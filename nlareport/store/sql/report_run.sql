-- The run itself, with its environment as JSON text.
-- Parameters: none.
-- Rows: render.report.query_rows.RunHead, exactly one.
SELECT
    run_id,
    title,
    series_name,
    series_number,
    kind,
    experiment_yaml,
    nlareport_version,
    schema_version,
    seed,
    strftime(created_at, '%Y-%m-%d %H:%M UTC') AS created_at,
    CAST(environment AS VARCHAR) AS environment
FROM run
ORDER BY run_id
LIMIT 1;
