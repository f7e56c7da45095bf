-- Every column of every table of a run file with what it means: the comments of the schema, in its order.
-- Parameters: none.
-- Rows: render.reference.DictionaryColumn.
SELECT
    t.table_name,
    t.comment AS table_comment,
    c.column_name,
    c.data_type,
    c.is_nullable,
    coalesce(list_contains(k.constraint_column_names, c.column_name), false) AS is_key,
    c.comment AS column_comment
FROM duckdb_tables() AS t
JOIN duckdb_columns() AS c ON c.database_oid = t.database_oid AND c.table_oid = t.table_oid
LEFT JOIN duckdb_constraints() AS k
    ON k.database_oid = t.database_oid AND k.table_oid = t.table_oid AND k.constraint_type = 'PRIMARY KEY'
ORDER BY t.database_oid, t.table_oid, c.column_index;
