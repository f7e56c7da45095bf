-- How far the diagonals lie above the best constant guess for their target.
-- Asks whether every one does. No answer unless the guess was scored for every target.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
constant AS (
    SELECT target, max(fve_nrm) AS fve_nrm FROM baseline WHERE method = 'best_constant' GROUP BY target
),
diagonal AS (
    SELECT
        t.label,
        c.fve_nrm - constant.fve_nrm AS gap,
        constant.fve_nrm AS guess,
        row_number() OVER (ORDER BY c.fve_nrm - constant.fve_nrm, t.ordinal) AS rank
    FROM cell AS c
    JOIN pair AS t ON t.pair_id = c.target
    LEFT JOIN constant ON constant.target = c.target
    WHERE c.subset = 'all' AND c.source = c.target AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(gap) = count(*) THEN min(gap) > 0 END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE gap > 0),
        'smallest_gap', min(gap),
        'closest', max(label) FILTER (WHERE rank = 1),
        'guess_low', min(guess),
        'guess_high', max(guess)
    ) AS VARCHAR) AS figures
FROM diagonal;
