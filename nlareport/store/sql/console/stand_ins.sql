-- What the report's queries need of DuckDB's JSON extension, which the engine in the browser comes without.
-- Next to the tables of a run file the console has environment_fact, the answer of the query environment_facts.
CREATE TABLE environment_fact (key VARCHAR, value VARCHAR);
COMMENT ON TABLE environment_fact IS 'run.environment, one fact a row: the engine in the browser reads no JSON.';
COMMENT ON COLUMN environment_fact.key IS 'Path of the fact, such as substrate.docs.';
COMMENT ON COLUMN environment_fact.value IS 'The fact as text.';

CREATE MACRO "->>"(document, path) AS CASE
    WHEN document = (SELECT environment FROM run)
    THEN (SELECT value FROM environment_fact WHERE '$.' || key = path)
    ELSE error('This engine reads no JSON but run.environment; ask with "nlareport query" instead.')
END;

CREATE MACRO json_string(text) AS '"' || replace(replace(text, '\', '\\'), '"', '\"') || '"';

CREATE MACRO json_member(name, content) AS json_string(name) || ':' || CASE
    WHEN content IS NULL THEN 'null'
    WHEN typeof(content) = 'VARCHAR' THEN json_string(CAST(content AS VARCHAR))
    WHEN typeof(content) = 'VARCHAR[]' THEN
        '[' || array_to_string(list_transform(CAST(content AS VARCHAR[]), lambda text: json_string(text)), ',') || ']'
    WHEN typeof(content) = 'MAP(VARCHAR, BIGINT)' THEN
        '{' || array_to_string(
            list_transform(
                map_entries(CAST(content AS MAP(VARCHAR, BIGINT))),
                lambda entry: json_string(entry.key) || ':' || CAST(entry.value AS VARCHAR)
            ),
            ','
        ) || '}'
    ELSE CAST(content AS VARCHAR)
END;

CREATE MACRO json_object
(k1, v1) AS '{' || json_member(k1, v1) || '}',
(k1, v1, k2, v2) AS '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || '}',
(k1, v1, k2, v2, k3, v3) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || ',' || json_member(k5, v5) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5, k6, v6) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || ',' || json_member(k5, v5) || ',' || json_member(k6, v6) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5, k6, v6, k7, v7) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || ',' || json_member(k5, v5) || ',' || json_member(k6, v6) || ','
    || json_member(k7, v7) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5, k6, v6, k7, v7, k8, v8) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || ',' || json_member(k5, v5) || ',' || json_member(k6, v6) || ','
    || json_member(k7, v7) || ',' || json_member(k8, v8) || '}',
(k1, v1, k2, v2, k3, v3, k4, v4, k5, v5, k6, v6, k7, v7, k8, v8, k9, v9) AS
    '{' || json_member(k1, v1) || ',' || json_member(k2, v2) || ',' || json_member(k3, v3) || ','
    || json_member(k4, v4) || ',' || json_member(k5, v5) || ',' || json_member(k6, v6) || ','
    || json_member(k7, v7) || ',' || json_member(k8, v8) || ',' || json_member(k9, v9) || '}';
