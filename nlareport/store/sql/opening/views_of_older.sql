-- Statements that put a view of an older file's table in the place of each empty table of this database, in order, and
-- those that copy the rows of the few tables to which something may be added.
-- Parameters: $older, the name under which the older file is attached; $copied, names of the tables to copy.
-- Columns that the older table lacks have their defaults; comments stay.
WITH
stored AS (
    SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = $older
),
shared AS (
    SELECT table_name, comment, list_contains($copied, table_name) AS is_copied
    FROM duckdb_tables()
    WHERE database_name = current_database() AND table_name IN (SELECT table_name FROM stored)
),
taken AS (
    FROM shared WHERE NOT is_copied
),
shown AS (
    SELECT
        c.table_name,
        c.column_name,
        c.column_index,
        c.comment,
        CASE
            WHEN s.column_name IS NOT NULL THEN '"' || c.column_name || '"'
            ELSE 'CAST(' || coalesce(c.column_default, 'NULL') || ' AS ' || c.data_type || ')'
        END AS expression
    FROM duckdb_columns() AS c
    JOIN taken USING (table_name)
    LEFT JOIN stored AS s ON s.table_name = c.table_name AND s.column_name = c.column_name
    WHERE c.database_name = current_database()
),
definition AS (
    SELECT
        table_name,
        string_agg(expression || ' AS "' || column_name || '"', ', ' ORDER BY column_index) AS columns
    FROM shown
    GROUP BY table_name
),
statement AS (
    SELECT
        table_name, 1 AS step, 0 AS place,
        'INSERT INTO "' || table_name || '" BY NAME SELECT * FROM "' || $older || '".main."' || table_name || '"' AS statement
    FROM shared
    WHERE is_copied
    UNION ALL
    SELECT table_name, 1 AS step, 0 AS place, 'DROP TABLE "' || table_name || '"' AS statement
    FROM taken
    UNION ALL
    SELECT
        table_name, 2, 0,
        'CREATE VIEW "' || table_name || '" AS SELECT ' || columns || ' FROM "' || $older || '".main."' || table_name || '"'
    FROM definition
    UNION ALL
    SELECT table_name, 3, 0, 'COMMENT ON VIEW "' || table_name || '" IS ''' || replace(comment, '''', '''''') || ''''
    FROM taken
    UNION ALL
    SELECT
        table_name, 4, column_index,
        'COMMENT ON COLUMN "' || table_name || '"."' || column_name || '" IS '''
        || replace(comment, '''', '''''') || ''''
    FROM shown
)
SELECT statement FROM statement ORDER BY table_name, step, place;
