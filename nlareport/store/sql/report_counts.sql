-- How much was measured: items, documents, decodes, clean decodes, and the range of the shuffled-pair nulls.
-- A published run holds only its sample items; its totals are then what its page states. Decodes that nobody judged
-- clean or not are not counted. Without an item table the items are those that have a score.
-- Parameters: none.
-- Rows: render.report.query_rows.Counts, exactly one.
WITH
counted AS (
    SELECT
        (SELECT count(*) FROM item) AS n_items,
        (SELECT count(DISTINCT doc_id) FROM item) AS n_documents,
        (SELECT count(DISTINCT item_id) FROM score) AS n_scored,
        (SELECT count(*) FROM explanation) AS n_texts,
        (SELECT count(is_clean) FROM explanation) AS n_decodes,
        (SELECT count(*) FROM explanation WHERE is_clean) AS n_clean,
        (SELECT count(*) FROM pair) AS n_pairs,
        (SELECT count(DISTINCT family) FROM pair) AS n_families,
        (SELECT count(*) FILTER (WHERE is_outlier) FROM item HAVING count(is_outlier) > 0) AS n_outliers,
        (SELECT min(null_fve) FROM cell WHERE subset = 'all') AS null_low,
        (SELECT max(null_fve) FROM cell WHERE subset = 'all') AS null_high
),
stated AS (
    SELECT
        kind,
        TRY_CAST(environment ->> '$.substrate.docs' AS BIGINT) AS n_documents,
        TRY_CAST(environment ->> '$.substrate.docs' AS BIGINT)
            * coalesce(TRY_CAST(environment ->> '$.substrate.positions_per_doc' AS BIGINT), 1) AS n_items,
        TRY_CAST(environment ->> '$.decode.decodes' AS BIGINT) AS n_decodes,
        TRY_CAST(environment ->> '$.decode.clean' AS BIGINT) AS n_clean,
        TRY_CAST(environment ->> '$.nulls.min' AS DOUBLE) AS null_low,
        TRY_CAST(environment ->> '$.nulls.max' AS DOUBLE) AS null_high
    FROM run
)
SELECT
    counted.n_pairs,
    counted.n_families,
    counted.n_outliers,
    CASE
        WHEN kind = 'published' THEN stated.n_items
        WHEN counted.n_items = 0 THEN nullif(counted.n_scored, 0)
        ELSE counted.n_items
    END AS n_items,
    CASE WHEN kind = 'published' THEN stated.n_documents ELSE nullif(counted.n_documents, 0) END AS n_documents,
    counted.n_texts,
    CASE WHEN kind = 'published' THEN stated.n_decodes ELSE nullif(counted.n_decodes, 0) END AS n_decodes,
    CASE
        WHEN kind = 'published' THEN stated.n_clean
        WHEN counted.n_decodes > 0 THEN counted.n_clean
    END AS n_clean,
    coalesce(counted.null_low, stated.null_low) AS null_low,
    coalesce(counted.null_high, stated.null_high) AS null_high,
    counted.null_low IS NOT NULL AS nulls_per_cell
FROM counted
CROSS JOIN stated;
