-- The range of cells between versions of one pair as fractions of their target's own ceiling.
-- Asks whether all of them stay below it. No answer when the ceiling of no such target is known.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH fraction AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        c.ceiling_fraction AS value,
        row_number() OVER (ORDER BY c.ceiling_fraction DESC, s.ordinal, t.ordinal) AS rank
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.relation = 'cross-version' AND c.ceiling_fraction IS NOT NULL
)
SELECT
    max(value) < 1 AS holds,
    CAST(json_object(
        'n', count(*),
        'fractions', list_filter([min(value), max(value)], lambda known: known IS NOT NULL),
        'highest_cell', max(name) FILTER (WHERE rank = 1),
        'n_above', count(*) FILTER (WHERE value >= 1)
    ) AS VARCHAR) AS figures
FROM fraction;
