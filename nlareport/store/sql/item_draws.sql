-- Every explanation of the items from one id to another of which a source wrote more than one, with the score that its
-- own reconstructor gives it, the best and the worst of them marked: the first of equals.
-- Parameters: $first, $last.
-- Rows: render.report.draw_tables.DrawnText, by item, source and draw.
WITH chosen AS (
    SELECT
        e.item_id,
        e.source,
        e.draw,
        e.text,
        e.completion,
        x.fve_nrm AS own_fve_nrm,
        count(*) OVER of_item AS n_draws,
        min(x.fve_nrm) OVER of_item AS lowest,
        max(x.fve_nrm) OVER of_item AS highest,
        row_number() OVER (PARTITION BY e.item_id, e.source ORDER BY x.fve_nrm DESC NULLS LAST, e.draw) AS rank_best,
        row_number() OVER (PARTITION BY e.item_id, e.source ORDER BY x.fve_nrm ASC NULLS LAST, e.draw) AS rank_worst
    FROM explanation AS e
    LEFT JOIN score AS x
        ON x.item_id = e.item_id AND x.source = e.source AND x.target = e.source AND x.draw = e.draw
    WHERE e.item_id BETWEEN $first AND $last
    WINDOW of_item AS (PARTITION BY e.item_id, e.source)
)
SELECT
    item_id,
    source,
    draw,
    text,
    completion,
    own_fve_nrm,
    rank_best = 1 AND lowest < highest AS is_best,
    rank_worst = 1 AND lowest < highest AS is_worst
FROM chosen
WHERE n_draws > 1
ORDER BY item_id, source, draw;
