-- The cross-model cells that score highest and lowest; ties go to the earlier cell.
-- Asks whether their intervals lie apart. No answer with fewer than two such cells, or when either has no interval.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH crossing AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        c.fve_nrm,
        c.ci_low,
        c.ci_high,
        row_number() OVER (ORDER BY c.fve_nrm DESC, s.ordinal, t.ordinal) AS from_best,
        row_number() OVER (ORDER BY c.fve_nrm, s.ordinal, t.ordinal) AS from_worst
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 1
        THEN max(ci_low) FILTER (WHERE from_best = 1) > max(ci_high) FILTER (WHERE from_worst = 1)
    END AS holds,
    CAST(json_object(
        'n', count(*),
        'best', max(fve_nrm),
        'best_cell', max(name) FILTER (WHERE from_best = 1),
        'worst', min(fve_nrm),
        'worst_cell', max(name) FILTER (WHERE from_worst = 1)
    ) AS VARCHAR) AS figures
FROM crossing;
