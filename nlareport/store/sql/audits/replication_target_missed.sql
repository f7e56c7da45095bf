-- Replication targets that a published run states and its own diagonal misses.
-- The diagonal differs from the value stated as measured, or from the earlier figure by more than the stated tolerance.
-- Parameters: none.
-- Rows: the pair, its diagonal, the value stated as measured, the earlier figure and the tolerance.
WITH
stated AS (
    SELECT
        t.value ->> '$.pair' AS pair_id,
        TRY_CAST(t.value ->> '$.measured' AS DOUBLE) AS measured,
        TRY_CAST(t.value ->> '$.published' AS DOUBLE) AS published,
        TRY_CAST(t.value ->> '$.tolerance' AS DOUBLE) AS tolerance
    FROM run, json_each(run.environment, '$.replication_targets') AS t
    WHERE run.kind = 'published'
),
-- How far rounding may have put each value off: the last decimal that any of its column has, once those that are
-- exact in single precision are read as such. At most 0.01: with fewer decimals nothing was rounded.
written AS (
    SELECT 'measured' AS name, measured AS value FROM stated
),
rounded AS (
    SELECT name, least(0.01, pow(10, -max(length(split_part(
        CASE WHEN value = TRY_CAST(value AS FLOAT) THEN CAST(TRY_CAST(value AS FLOAT) AS VARCHAR) ELSE CAST(value AS VARCHAR) END,
        '.', 2
    ))))) AS step
    FROM written
    WHERE value IS NOT NULL
    GROUP BY name
),
rounding AS (
    SELECT
        coalesce(max(step) FILTER (WHERE name = 'measured'), 0) AS measured_step
    FROM rounded
)
SELECT s.pair_id, c.fve_nrm, s.measured, s.published, s.tolerance
FROM stated AS s
JOIN cell AS c ON c.source = s.pair_id AND c.target = s.pair_id AND c.subset = 'all'
CROSS JOIN rounding AS r
WHERE abs(c.fve_nrm - s.measured) > 1e-9 + r.measured_step
    OR abs(c.fve_nrm - s.published) > s.tolerance + 1e-9 + r.measured_step
ORDER BY s.pair_id;
