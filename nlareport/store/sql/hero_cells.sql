-- The cells a reader looks for first: worst and best cross-model, best cross-family, best diagonal.
-- Cells of two models of one family are cross-model, not cross-family. Ties go to the earlier cell.
-- Parameters: none.
-- Rows: render.report.query_rows.HeroCell, at most four.
WITH
named AS (
    SELECT
        c.source,
        c.target,
        s.label AS source_label,
        t.label AS target_label,
        c.source = c.target AS is_diagonal,
        s.family <> t.family AS is_cross_family,
        c.fve_nrm,
        c.ci_low,
        c.ci_high,
        c.ceiling_fraction,
        s.ordinal AS source_ordinal,
        t.ordinal AS target_ordinal
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    WHERE c.subset = 'all' AND c.fve_nrm IS NOT NULL
),
ranked AS (
    SELECT 1 AS place, 'Worst cross-model cell' AS figure, *,
        row_number() OVER (ORDER BY fve_nrm, source_ordinal, target_ordinal) AS rank
    FROM named WHERE NOT is_diagonal
    UNION ALL
    SELECT 2, 'Best cross-model cell', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE NOT is_diagonal
    UNION ALL
    SELECT 3, 'Best cross-family cell', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE is_cross_family
    UNION ALL
    SELECT 4, 'Best diagonal', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE is_diagonal
)
SELECT
    figure, source, target, source_label, target_label, is_diagonal, fve_nrm, ci_low, ci_high, ceiling_fraction
FROM ranked
WHERE rank = 1
ORDER BY place;
