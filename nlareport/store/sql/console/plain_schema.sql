-- Statements that make this database's tables and views for an engine without the JSON extension, in order.
-- Keys are left out: the rows come from a file that kept them, and an index over a million rows takes a browser's time.
WITH
relation AS (
    SELECT 0 AS kind, table_oid AS oid, table_name, comment FROM duckdb_tables()
    UNION ALL
    SELECT 1, view_oid, view_name, comment FROM duckdb_views() WHERE NOT internal
),
definition AS (
    SELECT
        r.kind,
        r.oid,
        'CREATE TABLE ' || r.table_name || ' (' || string_agg(
            '"' || c.column_name || '" ' || CASE c.data_type WHEN 'JSON' THEN 'VARCHAR' ELSE c.data_type END
            || CASE WHEN c.is_nullable THEN '' ELSE ' NOT NULL' END,
            ', ' ORDER BY c.column_index
        ) || ');' AS statement
    FROM relation AS r
    JOIN duckdb_columns() AS c USING (table_name)
    WHERE r.kind = 0
    GROUP BY r.kind, r.oid, r.table_name
    UNION ALL
    SELECT 1, view_oid, sql FROM duckdb_views() WHERE NOT internal
),
statement AS (
    SELECT kind, oid, 0 AS step, 0 AS place, statement FROM definition
    UNION ALL
    SELECT
        kind, oid, 1, 0,
        'COMMENT ON ' || CASE kind WHEN 0 THEN 'TABLE ' ELSE 'VIEW ' END || table_name
        || ' IS ''' || replace(comment, '''', '''''') || ''';'
    FROM relation
    UNION ALL
    SELECT
        r.kind, r.oid, 2, c.column_index,
        'COMMENT ON COLUMN ' || r.table_name || '."' || c.column_name
        || '" IS ''' || replace(c.comment, '''', '''''') || ''';'
    FROM relation AS r
    JOIN duckdb_columns() AS c USING (table_name)
)
SELECT statement FROM statement ORDER BY kind, oid, step, place;
