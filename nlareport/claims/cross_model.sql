-- All cells between two models, where some share a family: the lowest, and how far any interval reaches.
-- Asks whether the whole interval of every such cell lies above 0. No answer when the run has no such cell.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH crossing AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        c.fve_nrm,
        c.ci_low,
        k.relation = 'same-family' AS is_within,
        greatest(c.fve_nrm - c.ci_low, c.ci_high - c.fve_nrm) AS reach,
        row_number() OVER (ORDER BY c.fve_nrm, s.ordinal, t.ordinal) AS rank
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN bool_or(is_within) AND count(ci_low) > 0
        THEN count(ci_low) = count(*) AND min(ci_low) > 0
    END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE ci_low > 0),
        'lowest', min(fve_nrm),
        'lowest_cell', max(name) FILTER (WHERE rank = 1),
        'widest', max(reach)
    ) AS VARCHAR) AS figures
FROM crossing;
