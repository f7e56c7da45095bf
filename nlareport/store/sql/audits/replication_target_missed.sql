-- Replication targets that a published run states and its own diagonal misses.
-- The diagonal differs from the value stated as measured, or from the earlier figure by more than the stated tolerance.
-- Parameters: none.
-- Rows: the pair, its diagonal, the value stated as measured, the earlier figure and the tolerance.
WITH stated AS (
    SELECT
        t.value ->> '$.pair' AS pair_id,
        TRY_CAST(t.value ->> '$.measured' AS DOUBLE) AS measured,
        TRY_CAST(t.value ->> '$.published' AS DOUBLE) AS published,
        TRY_CAST(t.value ->> '$.tolerance' AS DOUBLE) AS tolerance
    FROM run, json_each(run.environment, '$.replication_targets') AS t
    WHERE run.kind = 'published'
)
SELECT s.pair_id, c.fve_nrm, s.measured, s.published, s.tolerance
FROM stated AS s
JOIN cell AS c ON c.source = s.pair_id AND c.target = s.pair_id AND c.subset = 'all'
WHERE abs(c.fve_nrm - s.measured) > 1e-9 OR abs(c.fve_nrm - s.published) > s.tolerance + 1e-9
ORDER BY s.pair_id;
