-- Every column of the run file with what it means, table by table.
-- Parameters: none.
-- Rows: render.console.TableColumn.
SELECT
    tables.table_name,
    tables.comment AS table_comment,
    columns.column_name,
    columns.data_type,
    columns.comment AS column_comment
FROM duckdb_columns() AS columns
JOIN duckdb_tables() AS tables USING (database_oid, schema_oid, table_oid)
WHERE NOT tables.internal
ORDER BY tables.table_name, columns.column_index;
