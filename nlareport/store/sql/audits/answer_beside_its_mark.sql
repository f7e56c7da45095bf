-- Answers whose mark, text and cleanness contradict each other.
-- A clean one bears no mark but overrun and holds a text between its tags, one that is not clean bears another mark, and
-- none bears two. What is missing is told only where the run has marks or says by which rule its answers were judged.
-- Parameters: none.
-- Rows: source, item_id, what is wrong, whether it is clean, its marks.
WITH
rule AS (
    SELECT
        EXISTS (FROM answer_mark)
        OR (SELECT bool_or((environment ->> '$.answer_rule') IS NOT NULL) FROM run) AS is_known
),
marked AS (
    SELECT source, item_id, draw, string_agg(mark, ' and ' ORDER BY mark) AS marks, count(*) AS n_marks
    FROM answer_mark
    GROUP BY source, item_id, draw
),
answer AS (
    SELECT source, item_id, e.text, e.completion, e.is_clean, m.marks, m.n_marks, e.is_there
    FROM (SELECT *, true AS is_there FROM explanation) AS e
    FULL JOIN marked AS m USING (source, item_id, draw)
),
judged AS (
    SELECT
        *,
        CASE
            WHEN is_there IS NULL THEN 'a mark without an answer'
            WHEN n_marks > 1 THEN 'two marks'
            WHEN is_clean AND marks <> 'overrun' THEN 'clean, with the mark of one that is not'
            WHEN NOT is_clean AND marks = 'overrun' THEN 'not clean, with the mark of one that is'
            WHEN NOT is_known THEN NULL
            WHEN NOT is_clean AND marks IS NULL THEN 'not clean, without a mark'
            WHEN is_clean AND completion IS NOT NULL AND trim(coalesce(text, '')) = '' THEN 'clean, without a text'
            WHEN is_clean AND NOT regexp_matches(completion, '<explanation>.*</explanation>', 's')
                THEN 'clean, without a pair of tags'
        END AS fault
    FROM answer
    CROSS JOIN rule
)
SELECT source, item_id, fault, is_clean, marks
FROM judged
WHERE fault IS NOT NULL
ORDER BY source, item_id;
