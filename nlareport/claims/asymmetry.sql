-- The pairing of two models whose two directions differ most in score, and in how many pairings the intervals lie apart.
-- Asks whether there is any such pairing. No answer unless every cell between two models has its interval.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
crossing AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        s.ordinal AS source_ordinal,
        t.ordinal AS target_ordinal,
        c.fve_nrm,
        c.ci_low,
        c.ci_high,
        c.ceiling_fraction AS fraction
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.fve_nrm IS NOT NULL
),
pairing AS (
    SELECT
        better.name,
        better.fve_nrm AS better,
        worse.fve_nrm AS worse,
        better.fraction AS better_fraction,
        worse.fraction AS worse_fraction,
        better.ci_low > worse.ci_high AS is_apart,
        row_number() OVER (
            ORDER BY better.fve_nrm - worse.fve_nrm DESC, better.source_ordinal, better.target_ordinal
        ) AS rank
    FROM crossing AS better
    JOIN crossing AS worse
        ON worse.source_ordinal = better.target_ordinal AND worse.target_ordinal = better.source_ordinal
    -- Of two directions with the same score the earlier counts as the better, so that every pairing comes once.
    WHERE (better.fve_nrm, worse.source_ordinal) > (worse.fve_nrm, better.source_ordinal)
)
SELECT
    CASE WHEN count(*) > 0 AND count(is_apart) = count(*) THEN bool_or(is_apart) END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_apart', count(*) FILTER (WHERE is_apart),
        'largest_cell', max(name) FILTER (WHERE rank = 1),
        'better', max(better) FILTER (WHERE rank = 1),
        'worse', max(worse) FILTER (WHERE rank = 1),
        'better_fraction', max(better_fraction) FILTER (WHERE rank = 1),
        'worse_fraction', max(worse_fraction) FILTER (WHERE rank = 1)
    ) AS VARCHAR) AS figures
FROM pairing;
