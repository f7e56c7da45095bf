-- How much of the same-model scores is left when a text keeps only its quotes.
-- Asks whether it is more than half of every score, the whole interval of the paired drop below that half. No answer
-- unless every pair with a same-model score was asked, with an interval, and scored above 0 on the same items as written.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH kept AS (
    SELECT a.drop_high, a.fve_nrm, a.fve_nrm + a.fve_drop AS written, a.fve_nrm / nullif(a.fve_nrm + a.fve_drop, 0) AS fraction
    FROM cell AS c
    LEFT JOIN ablation_cell AS a ON a.source = c.source AND a.target = c.target AND a.method = 'quotes_kept'
    WHERE c.subset = 'all' AND c.source = c.target AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(drop_high) = count(*) AND min(written) > 0
        THEN bool_and(drop_high < written / 2)
    END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_most', count(*) FILTER (WHERE drop_high < written / 2),
        'fractions', [min(fraction), max(fraction)],
        'left', [min(fve_nrm), max(fve_nrm)]
    ) AS VARCHAR) AS figures
FROM kept;
