-- The order of sources as writers, by the plain mean over their cross-model cells and by the additive fit.
-- Asks whether both give the same order. No answer without the fit (see source_effects).
-- Parameters: none.
-- Rows: render.contexts.ClaimFigures, exactly one.
WITH
crossing AS (
    SELECT source, target, fve_nrm FROM cell WHERE subset = 'all' AND source <> target AND fve_nrm IS NOT NULL
),
whole AS (
    SELECT (SELECT count(*) FROM pair) AS n, count(*) AS n_cells, avg(fve_nrm) AS level FROM crossing
),
sums AS (
    SELECT
        p.label,
        p.ordinal,
        w.n,
        w.n_cells,
        (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
        (SELECT sum(fve_nrm) FROM crossing WHERE source = p.pair_id) - (w.n - 1) * w.level AS row_excess,
        (SELECT sum(fve_nrm) FROM crossing WHERE target = p.pair_id) - (w.n - 1) * w.level AS column_excess
    FROM pair AS p
    CROSS JOIN whole AS w
),
fitted AS (
    SELECT *, ((n - 1) * row_excess + column_excess) / (n * (n - 2)) AS source_effect
    FROM sums
    WHERE n >= 3 AND n_cells = n * (n - 1)
),
ranked AS (
    SELECT
        *,
        row_number() OVER (ORDER BY source_effect DESC, ordinal) AS fair,
        row_number() OVER (ORDER BY mean_as_source DESC, ordinal) AS plain
    FROM fitted
)
SELECT
    CASE WHEN count(*) > 0 THEN bool_and(fair = plain) END AS holds,
    CAST(json_object(
        'fair_order', list(label || ' ' || CASE WHEN round(source_effect, 3) < 0 THEN '−' ELSE '+' END
            || printf('%.3f', abs(source_effect)) ORDER BY fair),
        'plain_order', list(label || ' ' || printf('%.3f', mean_as_source) ORDER BY plain),
        'spread', max(source_effect) - min(source_effect)
    ) AS VARCHAR) AS figures
FROM ranked;
