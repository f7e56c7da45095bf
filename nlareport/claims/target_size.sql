-- The mean ceiling fraction of each target, from the widest model to the narrowest.
-- Asks whether every wider target's lies below every narrower one's. No answer when no two targets differ in width.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
target AS (
    SELECT
        any_value(t.label) AS label,
        any_value(t.ordinal) AS ordinal,
        any_value(t.d_model) AS d_model,
        avg(c.ceiling_fraction) AS mean_fraction
    FROM cell AS c
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.ceiling_fraction IS NOT NULL
    GROUP BY c.target
),
pairing AS (
    SELECT wide.mean_fraction < narrow.mean_fraction AS agrees
    FROM target AS wide
    JOIN target AS narrow ON wide.d_model > narrow.d_model
)
SELECT
    (SELECT bool_and(agrees) FROM pairing) AS holds,
    CAST(json_object(
        'order', list(label || ' ' || printf('%.0f', 100 * mean_fraction) || '%' ORDER BY d_model DESC, ordinal)
    ) AS VARCHAR) AS figures
FROM target;
