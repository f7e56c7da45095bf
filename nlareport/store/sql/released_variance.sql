-- Every cell over all items under V of this run's items and under V as the target's release states it from its
-- training data; only targets of which both are known. 1 - mse/V' is 1 - (1 - fve) V/V', so no error is asked again, and
-- ends of an interval move likewise where V was held fixed. The same is done to the diagonal for the ceiling fraction.
-- Parameters: none.
-- Rows: render.report.released_variance.VarianceRow.
WITH
scaled AS (
    SELECT
        c.source,
        c.target,
        t.variance_nrm,
        t.sidecar_variance_nrm,
        t.variance_nrm / t.sidecar_variance_nrm AS ratio,
        c.fve_nrm,
        c.ci_low,
        c.ci_high,
        c.ceiling_fraction,
        (SELECT r.environment ->> '$.scored.scoring.variance' FROM run AS r LIMIT 1) = 'fixed' AS is_fixed
    FROM cell AS c
    JOIN pair AS t ON t.pair_id = c.target
    WHERE
        c.subset = 'all' AND c.fve_nrm IS NOT NULL AND t.variance_nrm IS NOT NULL AND t.sidecar_variance_nrm > 0
),
both_ways AS (
    SELECT
        *,
        1 - (1 - fve_nrm) * ratio AS released_fve_nrm,
        CASE WHEN is_fixed THEN 1 - (1 - ci_low) * ratio END AS released_low,
        CASE WHEN is_fixed THEN 1 - (1 - ci_high) * ratio END AS released_high
    FROM scaled
)
SELECT
    w.source,
    w.target,
    s.label AS source_label,
    t.label AS target_label,
    w.source = w.target AS is_diagonal,
    w.variance_nrm,
    w.sidecar_variance_nrm,
    w.fve_nrm,
    w.ci_low,
    w.ci_high,
    w.released_fve_nrm,
    w.released_low,
    w.released_high,
    w.ceiling_fraction,
    CASE WHEN d.released_fve_nrm > 0 THEN w.released_fve_nrm / d.released_fve_nrm END AS released_ceiling_fraction
FROM both_ways AS w
JOIN pair AS s ON s.pair_id = w.source
JOIN pair AS t ON t.pair_id = w.target
LEFT JOIN both_ways AS d ON d.source = w.target AND d.target = w.target
ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id;
