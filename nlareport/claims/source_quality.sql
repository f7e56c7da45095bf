-- The order of sources as writers, by the plain mean over their cross-model cells and by the additive fit.
-- Asks whether both give the same order. No answer without the fit (see the view additive_fit).
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
fitted AS (
    SELECT p.label, p.ordinal, fit.mean_as_source, fit.source_effect
    FROM additive_fit AS fit
    JOIN pair AS p ON p.pair_id = fit.pair_id
    WHERE fit.source_effect IS NOT NULL
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
