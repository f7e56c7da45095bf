-- How many answers are clean, and why the others are not.
-- Asks whether all are. No answer when none was judged, or where the run does not say why answers are not clean.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
count_of AS (
    SELECT count(is_clean) AS n, count(*) FILTER (WHERE is_clean) AS n_clean FROM judged_answer
),
unclean AS (
    SELECT mark, count(*) AS n_answers FROM judged_answer WHERE NOT is_clean GROUP BY mark
),
reason AS (
    SELECT map_from_entries(coalesce(list((mark, n_answers) ORDER BY n_answers DESC, mark), [])) AS by_mark FROM unclean
),
said AS (
    SELECT (environment ->> '$.answer_rule') IS NOT NULL OR EXISTS (FROM answer_mark) AS says_why FROM run
)
SELECT
    CASE WHEN n > 0 AND says_why THEN n_clean = n END AS holds,
    CAST(
        json_object('n', n, 'n_clean', n_clean, 'n_unclean', n - n_clean, 'reasons', by_mark) AS VARCHAR
    ) AS figures
FROM count_of
CROSS JOIN reason
CROSS JOIN said;
