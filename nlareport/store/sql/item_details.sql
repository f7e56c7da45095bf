-- Everything known of the items from one id to another: the item, what every source wrote, where every pair read it,
-- and its score in every cell. Lists stand in the order of pairs, those of scores row by row with the source first;
-- what is not known is NULL in its place. Means are over the item's scored cells.
-- Parameters: $first, $last.
-- Rows: render.pages.item_pages.ItemDetail.
WITH
chosen AS (
    SELECT * FROM item WHERE item_id BETWEEN $first AND $last
),
signed AS (
    SELECT source, item_id, list(DISTINCT sign ORDER BY sign) AS signs
    FROM text_sign
    JOIN chosen USING (item_id)
    WHERE draw = 0
    GROUP BY source, item_id
),
written AS (
    SELECT
        i.item_id,
        list(e.text ORDER BY p.ordinal, p.pair_id) AS text,
        list(e.completion ORDER BY p.ordinal, p.pair_id) AS completion,
        list(e.finish ORDER BY p.ordinal, p.pair_id) AS finish,
        list(e.is_clean ORDER BY p.ordinal, p.pair_id) AS is_clean,
        list(j.mark ORDER BY p.ordinal, p.pair_id) AS mark,
        list(coalesce(g.signs, []) ORDER BY p.ordinal, p.pair_id) AS signs
    FROM chosen AS i
    CROSS JOIN pair AS p
    LEFT JOIN explanation AS e ON e.item_id = i.item_id AND e.source = p.pair_id AND e.draw = 0
    LEFT JOIN judged_answer AS j ON j.item_id = i.item_id AND j.source = p.pair_id AND j.draw = 0
    LEFT JOIN signed AS g ON g.item_id = i.item_id AND g.source = p.pair_id
    GROUP BY i.item_id
),
placed AS (
    SELECT
        i.item_id,
        list(a.token_index ORDER BY p.ordinal, p.pair_id) AS token_index,
        list(a.char_error ORDER BY p.ordinal, p.pair_id) AS char_error,
        list(a.activation_norm ORDER BY p.ordinal, p.pair_id) AS activation_norm
    FROM chosen AS i
    CROSS JOIN pair AS p
    LEFT JOIN alignment AS a ON a.item_id = i.item_id AND a.pair_id = p.pair_id
    GROUP BY i.item_id
),
scored AS (
    SELECT
        i.item_id,
        list(x.fve_nrm ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id) AS fve_nrm,
        list(x.unscored_reason ORDER BY s.ordinal, s.pair_id, t.ordinal, t.pair_id) AS unscored_reason,
        avg(x.fve_nrm) AS mean_fve,
        avg(x.fve_nrm) FILTER (WHERE s.pair_id = t.pair_id) AS mean_diagonal,
        avg(x.fve_nrm) FILTER (WHERE k.is_cross_model) AS mean_crossing
    FROM chosen AS i
    CROSS JOIN pair AS s
    CROSS JOIN pair AS t
    LEFT JOIN item_score AS x ON x.item_id = i.item_id AND x.source = s.pair_id AND x.target = t.pair_id
    LEFT JOIN cell_kind AS k ON k.source = s.pair_id AND k.target = t.pair_id
    GROUP BY i.item_id
),
tagged AS (
    SELECT
        item_id,
        list(name || ': ' || value ORDER BY name) AS tags,
        list(name ORDER BY name) AS tag_names,
        list(value ORDER BY name) AS tag_values
    FROM tag
    JOIN chosen USING (item_id)
    GROUP BY item_id
)
SELECT
    chosen.item_id,
    chosen.doc_id,
    chosen.char_end,
    chosen.token,
    chosen.context,
    chosen.stratum,
    chosen.is_outlier,
    coalesce(tagged.tags, []) AS tags,
    coalesce(tagged.tag_names, []) AS tag_names,
    coalesce(tagged.tag_values, []) AS tag_values,
    written.text,
    written.completion,
    written.finish,
    written.is_clean,
    written.mark,
    written.signs,
    placed.token_index,
    placed.char_error,
    placed.activation_norm,
    scored.fve_nrm,
    scored.unscored_reason,
    scored.mean_fve,
    scored.mean_diagonal,
    scored.mean_crossing,
    scored.mean_diagonal - scored.mean_crossing AS gap
FROM chosen
JOIN written USING (item_id)
JOIN placed USING (item_id)
JOIN scored USING (item_id)
LEFT JOIN tagged USING (item_id)
ORDER BY chosen.item_id;
