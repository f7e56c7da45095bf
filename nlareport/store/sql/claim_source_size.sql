-- The source effects of the additive fit, from the widest model to the narrowest.
-- Asks whether every wider source's lies above every narrower one's. No answer without the fit (see source_effects), or
-- when no two sources differ in width.
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
        p.d_model,
        w.n,
        w.n_cells,
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
pairing AS (
    SELECT wide.source_effect > narrow.source_effect AS agrees
    FROM fitted AS wide
    JOIN fitted AS narrow ON wide.d_model > narrow.d_model
)
SELECT
    (SELECT bool_and(agrees) FROM pairing) AS holds,
    CAST(json_object(
        'order', list(label || ' ' || CASE WHEN round(source_effect, 3) < 0 THEN '−' ELSE '+' END
            || printf('%.3f', abs(source_effect)) ORDER BY d_model DESC, ordinal)
    ) AS VARCHAR) AS figures
FROM fitted;
