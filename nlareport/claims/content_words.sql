-- How many content words of explanations stand in the item's context, and by chance in the context of another document.
-- Asks whether they are more than by chance for every source that has a model, by the whole interval of the difference.
-- No answer unless every source that was compared has that interval. The last words of a context all stand in it.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH compared AS (
    SELECT t.*
    FROM text_summary AS t
    JOIN pair AS p ON p.pair_id = t.source
    WHERE t.n_compared > 0 AND p.base_model IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(excess_low) = count(*) THEN min(excess_low) > 0 END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_above', count(*) FILTER (WHERE excess_low > 0),
        'found', [min(share_found), max(share_found)],
        'elsewhere', [min(share_elsewhere), max(share_elsewhere)]
    ) AS VARCHAR) AS figures
FROM compared;
