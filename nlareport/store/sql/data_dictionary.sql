-- Every column of every table and view of a run file with what it means: the comments of the schema, in its order.
-- Parameters: none.
-- Rows: render.site.reference.DictionaryColumn.
WITH relation AS (
    SELECT database_oid, table_oid AS oid, table_name, comment FROM duckdb_tables()
    UNION ALL
    SELECT database_oid, view_oid, view_name, comment FROM duckdb_views() WHERE NOT internal
)
SELECT
    r.table_name,
    r.comment AS table_comment,
    c.column_name,
    c.data_type,
    c.is_nullable,
    coalesce(list_contains(k.constraint_column_names, c.column_name), false) AS is_key,
    c.comment AS column_comment
FROM relation AS r
JOIN duckdb_columns() AS c ON c.database_oid = r.database_oid AND c.table_oid = r.oid
LEFT JOIN duckdb_constraints() AS k
    ON k.database_oid = r.database_oid AND k.table_oid = r.oid AND k.constraint_type = 'PRIMARY KEY'
ORDER BY r.database_oid, r.oid, c.column_index;
