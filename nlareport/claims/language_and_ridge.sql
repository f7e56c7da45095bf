-- Where explanations stand against a linear map from the source's own activation, over the cross-model cells.
-- Asks whether they recover more than the map in every one. No answer unless a map was fitted for each.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
training AS (
    SELECT max(n_items) AS n_items FROM learning_curve WHERE method = 'ridge'
),
crossing AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        c.fve_nrm,
        b.fve_nrm AS map_fve_nrm,
        c.fve_nrm - b.fve_nrm AS gap,
        row_number() OVER (ORDER BY c.fve_nrm - b.fve_nrm, t.ordinal, s.ordinal) AS rank
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    LEFT JOIN baseline AS b ON b.source = c.source AND b.target = c.target AND b.method = 'ridge'
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(gap) = count(*) THEN min(gap) > 0 END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE gap > 0),
        'smallest_gap', min(gap),
        'closest', max(name) FILTER (WHERE rank = 1),
        'language', [min(fve_nrm), max(fve_nrm)],
        'map', [min(map_fve_nrm), max(map_fve_nrm)],
        'n_training', (SELECT n_items FROM training)
    ) AS VARCHAR) AS figures
FROM crossing;
