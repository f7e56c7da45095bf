-- The source effects of the additive fit, from the widest model to the narrowest.
-- Asks whether every wider source's lies above every narrower one's. No answer without the fit (see the view additive_fit), or
-- when no two sources differ in width.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
fitted AS (
    SELECT p.label, p.ordinal, p.d_model, fit.source_effect
    FROM additive_fit AS fit
    JOIN pair AS p ON p.pair_id = fit.pair_id
    WHERE fit.source_effect IS NOT NULL
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
