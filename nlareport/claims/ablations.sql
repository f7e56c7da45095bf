-- Which change to a whole text takes most from the same-model scores, and which least; cuts are left aside.
-- Asks whether one takes most of every score, its interval of the paired drop above 0, and one least. No answer unless
-- two changes or more were made to every pair that has a same-model score, with intervals.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH diagonal AS (
    SELECT source FROM cell WHERE subset = 'all' AND source = target AND fve_nrm IS NOT NULL
), made AS (
    SELECT
        a.source, a.method, a.ordinal, a.fve_drop, a.drop_low,
        CASE a.method
            WHEN 'words_shuffled' THEN 'shuffling the words'
            WHEN 'quotes_kept' THEN 'keeping only the quotes'
            WHEN 'quotes_blanked' THEN 'blanking the quotes'
            WHEN 'digits_masked' THEN 'masking the digits'
        END AS change
    FROM ablation_cell AS a
    SEMI JOIN diagonal AS d ON d.source = a.source
    WHERE a.source = a.target AND a.drop_low IS NOT NULL
    QUALIFY count(*) OVER (PARTITION BY a.method) = (SELECT count(*) FROM diagonal)
), ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY source ORDER BY fve_drop DESC, ordinal) = 1 AS is_most,
        row_number() OVER (PARTITION BY source ORDER BY fve_drop, ordinal) = 1 AS is_least
    FROM made
    WHERE change IS NOT NULL
), summed AS (
    SELECT
        method, change, ordinal,
        count(*) AS n,
        count(*) FILTER (WHERE is_most) AS n_most,
        count(*) FILTER (WHERE is_least) AS n_least,
        count(*) FILTER (WHERE drop_low > 0) AS n_clear,
        [min(fve_drop), max(fve_drop)] AS drops
    FROM ranked
    GROUP BY ALL
), most AS (
    FROM summed ORDER BY n_most DESC, drops[2] DESC, ordinal LIMIT 1
), least AS (
    FROM summed ORDER BY n_least DESC, drops[1], ordinal LIMIT 1
)
SELECT
    CASE WHEN (SELECT count(*) FROM summed) >= 2
        THEN any_value(most.n_most = most.n AND most.n_clear = most.n AND least.n_least = least.n)
    END AS holds,
    CAST(json_object(
        'n', any_value(most.n),
        'n_changes', (SELECT count(*) FROM summed),
        'most', any_value(most.change),
        'n_most', any_value(most.n_most),
        'most_drops', any_value(most.drops),
        'least', any_value(least.change),
        'n_least', any_value(least.n_least),
        'n_least_clear', any_value(least.n_clear),
        'least_drops', any_value(least.drops)
    ) AS VARCHAR) AS figures
FROM most CROSS JOIN least;
