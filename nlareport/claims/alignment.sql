-- How exactly positions were carried into the other tokenizations, and the shortest left context there.
-- Asks whether no place has fewer than the 50 tokens of left context that positions are drawn with; no answer where the
-- experiment asks for another number, or vectors were given.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH carried AS (
    SELECT
        coalesce(
            avg(abs(a.char_error::BIGINT)),
            any_value(TRY_CAST(r.environment ->> '$.substrate.mean_alignment_error_chars' AS DOUBLE))
        ) AS mean_error,
        coalesce(
            min(a.token_index),
            any_value(TRY_CAST(r.environment ->> '$.alignment_notes.lowest_aligned_position' AS BIGINT))
        ) AS lowest,
        CASE WHEN count(a.item_id) > 0 THEN count(DISTINCT a.item_id) FILTER (WHERE a.token_index < 50)
            ELSE any_value(TRY_CAST(r.environment ->> '$.alignment_notes.rows_below_minimum' AS BIGINT))
        END AS n_below,
        bool_or(coalesce(r.environment ->> '$.min_left_context', r.environment ->> '$.vectors') IS NOT NULL) AS is_otherwise
    FROM run AS r
    LEFT JOIN alignment AS a ON TRUE
)
SELECT
    CASE WHEN mean_error IS NOT NULL AND n_below IS NOT NULL AND lowest IS NOT NULL AND NOT is_otherwise
        THEN lowest >= 50
    END AS holds,
    CAST(json_object('mean_error', mean_error, 'lowest', lowest, 'n_below', n_below) AS VARCHAR) AS figures
FROM carried;
