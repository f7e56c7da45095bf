-- Which end of the text carries the same-model scores: what its last tokens alone keep, and its first.
-- Asks whether the last keep more than half of every score and the first less, each by the whole interval of the paired
-- drop. Told of the smallest number of tokens that was kept at both ends of every pair's own texts; no answer when
-- there is none, or when a same-model score is not above 0 on the same items as written.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH diagonal AS (
    SELECT source FROM cell WHERE subset = 'all' AND source = target AND fve_nrm IS NOT NULL
), cut AS (
    SELECT
        a.source,
        regexp_extract(a.method, '^(first|last)_(\d+)_tokens$', 1) AS kept_end,
        TRY_CAST(regexp_extract(a.method, '^(first|last)_(\d+)_tokens$', 2) AS INTEGER) AS n_tokens,
        a.drop_low, a.drop_high, a.fve_nrm, a.fve_nrm + a.fve_drop AS written
    FROM ablation_cell AS a
    SEMI JOIN diagonal AS d ON d.source = a.source
    WHERE a.source = a.target AND a.drop_low IS NOT NULL
), both_ends AS (
    SELECT l.source, l.n_tokens, l.written, l.fve_nrm AS last_left, f.fve_nrm AS first_left,
        l.drop_high < l.written / 2 AS last_keeps, f.drop_low > f.written / 2 AS first_loses,
        f.drop_high < f.written / 2 AS first_keeps
    FROM cut AS l
    JOIN cut AS f ON f.source = l.source AND f.n_tokens = l.n_tokens AND f.kept_end = 'first'
    WHERE l.kept_end = 'last'
    QUALIFY count(*) OVER (PARTITION BY l.n_tokens) = (SELECT count(*) FROM diagonal)
), smallest AS (
    FROM both_ends WHERE n_tokens = (SELECT min(n_tokens) FROM both_ends)
)
SELECT
    CASE WHEN count(*) > 0 AND min(written) > 0 THEN bool_and(last_keeps AND first_loses) END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_tokens', any_value(n_tokens),
        'last', [min(last_left / nullif(written, 0)), max(last_left / nullif(written, 0))],
        'last_left', [min(last_left), max(last_left)],
        'first_left', [min(first_left), max(first_left)],
        'n_last', count(*) FILTER (WHERE last_keeps),
        'n_first', count(*) FILTER (WHERE first_keeps)
    ) AS VARCHAR) AS figures
FROM smallest;
