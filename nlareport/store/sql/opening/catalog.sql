-- Everything a database file can bring along, and where it stands: what it is, its name, what defines it.
-- Functions are named in full, and nothing is compared or joined here: a macro of the file could stand in for any
-- function or operator that is named without its place.
SELECT database_name, schema_name, 'schema' AS kind, schema_name AS table_name, NULL AS name, NULL AS definition
FROM system.main.duckdb_schemas()
UNION ALL
SELECT database_name, schema_name, 'table', table_name, NULL, NULL
FROM system.main.duckdb_tables()
UNION ALL
SELECT database_name, schema_name, 'column', table_name, column_name, data_type
FROM system.main.duckdb_columns()
UNION ALL
SELECT database_name, schema_name, 'default', table_name, column_name, column_default
FROM system.main.duckdb_columns()
WHERE column_default IS NOT NULL
UNION ALL
SELECT database_name, schema_name, 'generated column', table_name, column_name, generation_expression
FROM system.main.duckdb_columns()
WHERE is_generated
UNION ALL
SELECT database_name, schema_name, constraint_type, table_name, NULL, constraint_text
FROM system.main.duckdb_constraints()
UNION ALL
SELECT database_name, schema_name, 'view', view_name, NULL, sql
FROM system.main.duckdb_views()
UNION ALL
SELECT database_name, schema_name, 'macro', function_name, NULL, NULL
FROM system.main.duckdb_functions()
UNION ALL
SELECT database_name, schema_name, 'type', type_name, NULL, NULL
FROM system.main.duckdb_types()
UNION ALL
SELECT database_name, schema_name, 'sequence', sequence_name, NULL, NULL
FROM system.main.duckdb_sequences()
UNION ALL
SELECT database_name, schema_name, 'index', index_name, NULL, NULL
FROM system.main.duckdb_indexes()
UNION ALL
SELECT database_name, schema_name, 'trigger', trigger_name, NULL, NULL
FROM system.main.duckdb_triggers()
