-- How many answers are odd in which way, most frequent first.
-- Parameters: none.
-- Rows: render.report.answer_notes.MarkCount; none of a published run.
SELECT mark, count(*) AS n_answers
FROM judged_answer
WHERE mark IS NOT NULL AND (SELECT bool_and(kind <> 'published') FROM run)
GROUP BY mark
ORDER BY n_answers DESC, mark;
