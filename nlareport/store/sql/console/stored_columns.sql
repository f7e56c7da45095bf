-- The columns that each table of the run file itself has, as they are written in a CREATE TABLE; an older file is attached
-- as $older. Tables named in $completed are passed over.
SELECT table_name, string_agg('"' || column_name || '" INTEGER', ', ' ORDER BY column_index) AS columns
FROM duckdb_columns()
JOIN duckdb_tables() USING (database_name, table_name)
WHERE database_name = coalesce(
        (SELECT any_value(database_name) FROM duckdb_databases() WHERE database_name = $older), current_database()
    )
    AND NOT list_contains($completed, table_name)
GROUP BY table_name
ORDER BY table_name;
