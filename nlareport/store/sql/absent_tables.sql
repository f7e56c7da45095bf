-- What an imported run does not hold: the file of a bundle that would bring it, and what rests on it.
-- Parameters: none.
-- Rows: checks.AbsentTable; none for a run that was computed, or is a page's figures.
WITH
scored AS (
    SELECT DISTINCT target FROM score
),
without_variance AS (
    SELECT string_agg(p.label, ', ' ORDER BY p.ordinal) AS labels
    FROM pair AS p
    WHERE p.variance_nrm IS NULL AND p.pair_id IN (FROM scored)
),
looked_for AS (
    SELECT 1 AS place, 'variance_nrm in run.yaml' AS file, 'V of ' || labels
        || CASE
            WHEN EXISTS (FROM score WHERE fve_nrm IS NULL AND mse_nrm IS NOT NULL)
                THEN ': their mse_nrm cannot become fve_nrm, so their cells are empty'
            ELSE ': no fve_meannorm, no null and no best constant guess for them'
        END AS what
    FROM without_variance WHERE labels IS NOT NULL
    UNION ALL
    SELECT 2, 'scores.*', 'scores: no matrix' WHERE NOT EXISTS (FROM score) AND NOT EXISTS (FROM cell)
    UNION ALL
    SELECT 3, 'items.*', 'documents and tokens: each item counts as a document of its own in the intervals, and there are no '
        || 'strata, cards or sample browser'
    WHERE NOT EXISTS (FROM item)
    UNION ALL
    SELECT 4, 'doc_id in items.*', 'documents: each item counts as one of its own, which makes intervals too narrow where '
        || 'items share a document'
    WHERE EXISTS (FROM item) AND NOT EXISTS (FROM item WHERE doc_id <> 'item:' || item_id)
    UNION ALL
    SELECT 5, 'token in items.*', 'tokens: no strata' WHERE EXISTS (FROM item) AND NOT EXISTS (FROM item WHERE token <> '')
    UNION ALL
    SELECT 6, 'context in items.*', 'the texts that items stand in'
    WHERE EXISTS (FROM item) AND NOT EXISTS (FROM item WHERE context IS NOT NULL)
    UNION ALL
    SELECT 7, 'explanations.*', 'explanations: no texts to show, or to look for repeated ones in'
    WHERE NOT EXISTS (FROM explanation)
    UNION ALL
    SELECT 8, 'is_clean in explanations.*', 'whether answers are clean'
    WHERE EXISTS (FROM explanation) AND NOT EXISTS (FROM explanation WHERE is_clean IS NOT NULL)
    UNION ALL
    SELECT 9, 'null_scores.*', 'shuffled-pair nulls'
    WHERE NOT EXISTS (FROM null_score) AND NOT EXISTS (FROM cell WHERE null_fve IS NOT NULL)
    UNION ALL
    SELECT 10, 'alignments.*', 'norms and places in each tokenization: no outliers by norm, no quarters by norm or left context'
    WHERE NOT EXISTS (FROM alignment)
    UNION ALL
    SELECT 11, 'activations.*', 'how typical each activation is: no quarters by atypicality'
        || CASE
            WHEN EXISTS (FROM baseline WHERE method = 'best_constant' AND ci_low IS NULL)
                THEN '; the best constant guess follows from V alone, for the items that V is of, and has no interval'
            ELSE ''
        END
    WHERE NOT EXISTS (FROM activation)
    UNION ALL
    SELECT 12, 'resemblances.*', 'nearness to other documents'' activations: no centred cosine, no identification'
    WHERE NOT EXISTS (FROM resemblance) AND NOT EXISTS (FROM measure WHERE measure <> 'ceiling_fraction')
    UNION ALL
    SELECT 13, 'ablations.*', 'changed texts: not known which part of a text carries the score'
    WHERE NOT EXISTS (FROM ablation) AND NOT EXISTS (FROM ablation_cell)
    UNION ALL
    SELECT 14, 'plain_readings.*', 'what the plain last words score'
    WHERE NOT EXISTS (FROM plain_reading) AND NOT EXISTS (FROM baseline WHERE starts_with(method, 'last_'))
    UNION ALL
    SELECT 15, 'baselines.*', 'a linear map and a nearest neighbour, which only the activations themselves give'
    WHERE NOT EXISTS (FROM baseline WHERE method IN ('ridge', 'nearest_neighbour'))
)
SELECT file, what
FROM looked_for
WHERE (SELECT bool_or(kind = 'imported') FROM run)
ORDER BY place;
