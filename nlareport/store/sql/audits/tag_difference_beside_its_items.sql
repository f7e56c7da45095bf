-- Differences between two values of a tag that are not those of their items' scores: within documents where it is
-- paired, else of the two means.
-- Nothing where the file holds no score of a single item.
-- Parameters: none.
-- Rows: source, target, name, value, other_value, the difference stated and the one found.
WITH
by_document AS (
    SELECT s.source, s.target, t.name, t.value, i.doc_id, sum(s.fve_nrm) AS total, count(s.fve_nrm) AS n_items
    FROM item_score AS s
    JOIN tag AS t USING (item_id)
    JOIN item AS i USING (item_id)
    GROUP BY ALL
    HAVING count(s.fve_nrm) > 0
),
within_documents AS (
    SELECT d.source, d.target, d.name, d.value, d.other_value, avg(a.total / a.n_items - b.total / b.n_items) AS found
    FROM tag_difference AS d
    JOIN by_document AS a ON a.source = d.source AND a.target = d.target AND a.name = d.name AND a.value = d.value
    JOIN by_document AS b
        ON b.source = d.source AND b.target = d.target AND b.name = d.name AND b.value = d.other_value
        AND b.doc_id = a.doc_id
    WHERE d.is_paired
    GROUP BY ALL
),
means AS (
    SELECT source, target, name, value, sum(total) / sum(n_items) AS mean_fve_nrm FROM by_document GROUP BY ALL
),
apart AS (
    SELECT d.source, d.target, d.name, d.value, d.other_value, a.mean_fve_nrm - b.mean_fve_nrm AS found
    FROM tag_difference AS d
    JOIN means AS a ON a.source = d.source AND a.target = d.target AND a.name = d.name AND a.value = d.value
    JOIN means AS b ON b.source = d.source AND b.target = d.target AND b.name = d.name AND b.value = d.other_value
    WHERE NOT d.is_paired
),
rounding AS (
    SELECT coalesce(max(step) FILTER (WHERE place = 'score.fve_nrm'), 0) AS score_step
    FROM rounding_step
    WHERE place = 'score.fve_nrm'
)
SELECT d.source, d.target, d.name, d.value, d.other_value, d.difference, f.found
FROM tag_difference AS d
JOIN (FROM within_documents UNION ALL FROM apart) AS f USING (source, target, name, value, other_value)
CROSS JOIN rounding AS r
WHERE abs(d.difference - f.found) > 1e-9 + 2 * r.score_step
ORDER BY d.source, d.target, d.name, d.value, d.other_value;
