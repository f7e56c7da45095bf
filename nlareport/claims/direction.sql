-- In how many pairings of models of different width the wider one's text reads better in the narrower one than the
-- other way round; by cell and by ceiling fraction.
-- Asks whether that is so in every pairing, by cell. No answer when no two models differ in width.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
pairing AS (
    SELECT
        down.fve_nrm AS down_fve,
        up.fve_nrm AS up_fve,
        down.ceiling_fraction AS down_fraction,
        up.ceiling_fraction AS up_fraction,
        down.ci_low > up.ci_high OR up.ci_low > down.ci_high AS is_apart
    FROM pair AS wide
    JOIN pair AS narrow ON wide.d_model > narrow.d_model
    JOIN cell AS down ON down.source = wide.pair_id AND down.target = narrow.pair_id AND down.subset = 'all'
    JOIN cell AS up ON up.source = narrow.pair_id AND up.target = wide.pair_id AND up.subset = 'all'
    WHERE down.fve_nrm IS NOT NULL AND up.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 THEN bool_and(down_fve > up_fve) END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_down', count(*) FILTER (WHERE down_fve > up_fve),
        'n_down_fraction', count(*) FILTER (WHERE down_fraction > up_fraction),
        'n_apart', count(*) FILTER (WHERE is_apart)
    ) AS VARCHAR) AS figures
FROM pairing;
