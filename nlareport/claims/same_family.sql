-- Ceiling fractions of cells within a family compared with those across families.
-- Asks whether the best cell within a family is better than the best across. No answer unless both kinds exist.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
fraction AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        k.relation = 'same-family' AS is_within,
        c.ceiling_fraction AS value,
        row_number() OVER (PARTITION BY k.relation = 'same-family' ORDER BY c.ceiling_fraction DESC, s.ordinal, t.ordinal)
            AS rank
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.ceiling_fraction IS NOT NULL
),
weakest AS (
    SELECT min(value) AS value FROM fraction WHERE is_within
)
SELECT
    CASE WHEN count(*) FILTER (WHERE is_within) > 0 AND count(*) FILTER (WHERE NOT is_within) > 0
        THEN max(value) FILTER (WHERE is_within) > max(value) FILTER (WHERE NOT is_within)
    END AS holds,
    CAST(json_object(
        'best_within', max(value) FILTER (WHERE is_within),
        'best_within_cell', max(name) FILTER (WHERE is_within AND rank = 1),
        'weakest_within', min(value) FILTER (WHERE is_within),
        'best_across', max(value) FILTER (WHERE NOT is_within),
        'best_across_cell', max(name) FILTER (WHERE NOT is_within AND rank = 1),
        'n_across', count(*) FILTER (WHERE NOT is_within),
        'n_across_as_good', count(*) FILTER (WHERE NOT is_within AND value >= (SELECT value FROM weakest))
    ) AS VARCHAR) AS figures
FROM fraction;
