-- How many decodes closed their explanation within the token budget.
-- Asks whether all did. No answer when no decode was counted, or where `claim_answers` tells more: of runs that say why
-- answers are not clean.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH count_of AS (
    SELECT
        CASE WHEN run.kind = 'published' THEN TRY_CAST(run.environment ->> '$.decode.decodes' AS BIGINT)
            ELSE (SELECT count(*) FROM explanation WHERE is_clean IS NOT NULL)
        END AS n,
        CASE WHEN run.kind = 'published' THEN TRY_CAST(run.environment ->> '$.decode.clean' AS BIGINT)
            ELSE (SELECT count(*) FROM explanation WHERE is_clean)
        END AS n_clean,
        (run.environment ->> '$.answer_rule') IS NOT NULL OR EXISTS (FROM answer_mark) AS says_why
    FROM run
)
SELECT
    CASE WHEN n > 0 AND NOT says_why THEN n_clean = n END AS holds,
    CAST(json_object('n', n, 'n_clean', n_clean, 'n_unclean', n - n_clean) AS VARCHAR) AS figures
FROM count_of;
