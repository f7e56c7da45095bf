-- The cells a reader looks for first: worst and best cross-model, best cross-family, best diagonal.
-- Cells of two models of one family are cross-model, not cross-family. Where no cell is cross-model, worst and best
-- cross-version take that place. The best cell of a text source is added where there is one. Ties go to the earlier cell.
-- Parameters: none.
-- Rows: render.report.query_rows.HeroCell, at most five.
WITH
named AS (
    SELECT
        c.source,
        c.target,
        s.label AS source_label,
        t.label AS target_label,
        c.source = c.target AS is_diagonal,
        k.relation,
        k.is_cross_model,
        c.fve_nrm,
        c.ci_low,
        c.ci_high,
        c.ceiling_fraction,
        s.ordinal AS source_ordinal,
        t.ordinal AS target_ordinal
    FROM cell AS c
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    WHERE c.subset = 'all' AND c.fve_nrm IS NOT NULL
),
versions AS (
    FROM named WHERE relation = 'cross-version' AND NOT EXISTS (FROM named WHERE is_cross_model)
),
ranked AS (
    SELECT 1 AS place, 'Worst cross-model cell' AS figure, *,
        row_number() OVER (ORDER BY fve_nrm, source_ordinal, target_ordinal) AS rank
    FROM named WHERE is_cross_model
    UNION ALL
    SELECT 2, 'Best cross-model cell', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE is_cross_model
    UNION ALL
    SELECT 3, 'Best cross-family cell', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE relation = 'cross-family'
    UNION ALL
    SELECT 4, 'Worst cross-version cell', *,
        row_number() OVER (ORDER BY fve_nrm, source_ordinal, target_ordinal)
    FROM versions
    UNION ALL
    SELECT 5, 'Best cross-version cell', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM versions
    UNION ALL
    SELECT 6, 'Best cell of a text source', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE relation = 'text'
    UNION ALL
    SELECT 7, 'Best diagonal', *,
        row_number() OVER (ORDER BY fve_nrm DESC, source_ordinal, target_ordinal)
    FROM named WHERE is_diagonal
)
SELECT
    figure, source, target, source_label, target_label, is_diagonal, fve_nrm, ci_low, ci_high, ceiling_fraction
FROM ranked
WHERE rank = 1
ORDER BY place;
