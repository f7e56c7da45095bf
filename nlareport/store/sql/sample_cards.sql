-- The four items shown as cards. A published run names its own; any other run chooses by rule, ties by item_id,
-- among the items scored in every cell that has scores. What needs diagonals is left out where an item has none.
-- Parameters: none.
-- Rows: render.report.query_rows.SampleCard, at most four.
WITH
per_item AS (
    SELECT
        x.item_id,
        avg(x.fve_nrm) AS mean_fve,
        avg(x.fve_nrm) FILTER (WHERE x.source = x.target) AS mean_diagonal,
        avg(x.fve_nrm) FILTER (WHERE k.is_cross_model) AS mean_crossing
    FROM item_score AS x
    JOIN cell_kind AS k ON k.source = x.source AND k.target = x.target
    GROUP BY x.item_id
    HAVING count(x.fve_nrm) = (SELECT count(DISTINCT (source, target)) FROM item_score WHERE fve_nrm IS NOT NULL)
),
judged AS (
    SELECT per_item.*, item.stratum FROM per_item JOIN item USING (item_id)
),
ranked AS (
    SELECT 1 AS place, 'best' AS kind, 'highest mean FVE over all cells' AS rule, item_id,
        row_number() OVER (ORDER BY mean_fve DESC, item_id) AS rank, 1 AS wanted
    FROM judged
    UNION ALL
    SELECT 2, 'typical', 'median item by mean FVE over all cells', item_id,
        row_number() OVER (ORDER BY mean_fve, item_id), (count(*) OVER () + 1) // 2
    FROM judged
    UNION ALL
    SELECT 3, 'lost in translation',
        'no digit in the token, diagonal mean above 0.7, largest gap from diagonal mean to cross-model mean', item_id,
        row_number() OVER (ORDER BY mean_diagonal - mean_crossing DESC, item_id), 1
    FROM judged
    WHERE stratum <> 'digits' AND mean_diagonal > 0.7 AND mean_crossing IS NOT NULL
    UNION ALL
    SELECT 4, 'digits', 'lowest mean FVE among items whose token holds a digit', item_id,
        row_number() OVER (ORDER BY mean_fve, item_id), 1
    FROM judged
    WHERE stratum = 'digits'
),
named AS (
    SELECT
        unnest(range(CAST(json_array_length(environment, '$.samples') AS BIGINT))) AS place,
        unnest(from_json(
            environment -> '$.samples', '[{"kind":"VARCHAR","rule":"VARCHAR","item_id":"BIGINT"}]'
        )) AS named
    FROM run
    WHERE kind = 'published' AND json_type(environment, '$.samples') = 'ARRAY'
),
chosen AS (
    SELECT place, kind, rule, item_id
    FROM ranked
    WHERE rank = wanted AND (SELECT bool_and(kind <> 'published') FROM run)
    UNION ALL
    SELECT place, named.kind, named.rule, named.item_id FROM named
)
SELECT
    chosen.kind,
    chosen.rule,
    item.item_id,
    item.doc_id,
    item.token,
    item.context,
    item.is_outlier,
    means.mean_fve,
    means.mean_diagonal,
    means.mean_crossing
FROM chosen
JOIN item ON item.item_id = chosen.item_id
LEFT JOIN per_item AS means ON means.item_id = chosen.item_id
ORDER BY chosen.place;
