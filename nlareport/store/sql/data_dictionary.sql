-- Every column of every table and view of a run file with what it means: the comments of the schema, views last.
-- Parameters: none.
-- Rows: render.site.reference.DictionaryColumn.
-- An older file is shown by views in another database; what may be NULL and what is a key is said by its own tables.
WITH
relation AS (
    SELECT database_name, 0 AS kind, table_oid AS oid, table_name, comment FROM duckdb_tables()
    UNION ALL
    SELECT database_name, 1, view_oid, view_name, comment FROM duckdb_views() WHERE NOT internal
),
stored_column AS (
    SELECT c.table_name, c.column_name, bool_and(c.is_nullable) AS is_nullable
    FROM duckdb_columns() AS c
    GROUP BY c.table_name, c.column_name
),
stored_key AS (
    SELECT table_name, constraint_column_names FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'
)
SELECT
    r.table_name,
    r.comment AS table_comment,
    c.column_name,
    c.data_type,
    s.is_nullable,
    coalesce(list_contains(k.constraint_column_names, c.column_name), false) AS is_key,
    c.comment AS column_comment
FROM relation AS r
JOIN duckdb_columns() AS c ON c.database_name = r.database_name AND c.table_oid = r.oid
JOIN stored_column AS s ON s.table_name = r.table_name AND s.column_name = c.column_name
LEFT JOIN stored_key AS k ON k.table_name = r.table_name
WHERE r.database_name = current_database()
ORDER BY r.kind, r.oid, c.column_index;
