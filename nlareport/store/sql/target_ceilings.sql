-- How close other models' texts come to each target's own ceiling, hardest target first.
-- Hardness is the mean ceiling fraction over the target's cross-model cells.
-- Parameters: none.
-- Rows: render.report.query_rows.TargetCeiling.
WITH fraction AS (
    SELECT c.source, c.target, d.fve_nrm AS ceiling, c.ceiling_fraction
    FROM cell AS c
    JOIN cell AS d ON d.source = c.target AND d.target = c.target AND d.subset = c.subset
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.ceiling_fraction IS NOT NULL
)
SELECT
    f.target,
    any_value(t.label) AS target_label,
    any_value(f.ceiling) AS ceiling,
    min(f.ceiling_fraction) AS lowest,
    max(f.ceiling_fraction) AS highest,
    avg(f.ceiling_fraction) AS mean_fraction
FROM fraction AS f
JOIN pair AS t ON t.pair_id = f.target
GROUP BY f.target
ORDER BY mean_fraction, any_value(t.ordinal);
