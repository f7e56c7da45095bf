-- What the report's sentences are asked of, whether the run holds it, and where it comes from: a sentence names its needs.
-- Parameters: none.
-- Rows: claims.reading.ClaimNeed.
WITH
whole AS (
    SELECT c.*, k.relation, k.is_cross_model
    FROM cell AS c
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND c.fve_nrm IS NOT NULL
),
diagonal AS (
    FROM whole WHERE source = target
),
marked AS (
    SELECT (environment ->> '$.answer_rule') IS NOT NULL OR EXISTS (FROM answer_mark) AS says_why FROM run
),
-- A run without a diagonal lacks that; what is then missing of each is told of no pair.
ablated AS (
    SELECT method FROM ablation_cell WHERE source = target AND drop_low IS NOT NULL
)
SELECT 'cells' AS need, EXISTS (FROM whole) AS is_met,
    'no cell over all items has an fve_nrm; a computed run has them, and a bundle brings them in its cells table' AS absent
UNION ALL
SELECT 'intervals', EXISTS (FROM whole) AND NOT EXISTS (FROM whole WHERE ci_low IS NULL OR ci_high IS NULL),
    'a cell has no 95% interval; a computed run of two documents or more has them, and a bundle brings ci_low and ci_high in '
    || 'its cells table'
UNION ALL
SELECT 'diagonals', EXISTS (FROM diagonal WHERE fve_nrm > 0),
    'no pair has a cell with itself as source and target that is above 0; bring those in the cells table'
UNION ALL
SELECT 'cross_model', count(*) FILTER (WHERE is_cross_model) > 1,
    'fewer than two cells have a source and a target of different models; measure or bring another pair'
FROM whole
UNION ALL
SELECT 'cross_family', EXISTS (FROM whole WHERE relation = 'cross-family'),
    'no cell has a source and a target of different families; measure or bring a pair of another family'
UNION ALL
SELECT 'shared_family', EXISTS (FROM whole WHERE relation = 'same-family'),
    'no cell has a source and a target of two models of one family; measure or bring another pair'
UNION ALL
SELECT 'versions', EXISTS (FROM whole WHERE relation = 'cross-version' AND ceiling_fraction IS NOT NULL),
    'no cell is between two versions of one pair, with a target whose ceiling is known'
UNION ALL
SELECT 'given_texts', EXISTS (FROM whole WHERE relation = 'text' AND ceiling_fraction IS NOT NULL),
    'no source of texts without a model was read by a target whose ceiling is known; name one as kind: texts'
UNION ALL
SELECT 'widths', count(DISTINCT d_model) > 1, 'all pairs have the same d_model; measure or bring one of another width'
FROM pair
UNION ALL
SELECT 'both_ways', EXISTS (
        FROM whole AS there
        JOIN whole AS back ON back.source = there.target AND back.target = there.source
        WHERE there.is_cross_model
    ),
    'no two models have a cell in both directions; bring both in the cells table'
UNION ALL
SELECT 'fit', EXISTS (FROM additive_fit WHERE source_effect IS NOT NULL),
    'the cross-model cells are too few for the additive fit to tell writers from readers; measure or bring more of them'
UNION ALL
SELECT 'nulls', EXISTS (FROM whole) AND (
        NOT EXISTS (FROM whole WHERE null_fve IS NULL)
        OR (SELECT bool_or(TRY_CAST(environment ->> '$.nulls.max' AS DOUBLE) IS NOT NULL) FROM run)
    ),
    'a cell has no null; a computed run has them, and a bundle brings null_fve in its cells table'
UNION ALL
SELECT 'constants', EXISTS (FROM diagonal) AND NOT EXISTS (
        FROM diagonal AS d
        WHERE NOT EXISTS (FROM baseline AS b WHERE b.target = d.target AND b.method = 'best_constant' AND b.fve_nrm IS NOT NULL)
    ),
    'the best constant guess is not known; a computed run has it, and a bundle brings it in its baselines table as best_constant'
UNION ALL
SELECT 'ridge', NOT EXISTS (
        FROM whole AS c
        WHERE c.is_cross_model AND NOT EXISTS (
            FROM baseline AS b
            WHERE b.source = c.source AND b.target = c.target AND b.method = 'ridge' AND b.fve_nrm IS NOT NULL
        )
    ),
    'no linear map was fitted; a computed run has it, and a bundle brings it in its baselines table as ridge'
UNION ALL
SELECT 'ablations', EXISTS (FROM ablated),
    'no explanation was changed and read again; name `ablations` in the experiment, or bring the ablation_cells table'
UNION ALL
SELECT 'cuts', EXISTS (FROM ablated WHERE starts_with(method, 'first_')) AND EXISTS (FROM ablated WHERE starts_with(method, 'last_')),
    'no explanation was cut and read again; name first_N_tokens and last_N_tokens of one N under `ablations` in the experiment, '
    || 'or bring them in the ablation_cells table'
UNION ALL
SELECT 'decodes', EXISTS (FROM explanation WHERE is_clean IS NOT NULL)
        OR (SELECT bool_or(TRY_CAST(environment ->> '$.decode.clean' AS BIGINT) IS NOT NULL) FROM run),
    'no explanation says whether it is clean; a bundle brings is_clean in its explanations table'
UNION ALL
SELECT 'marks', says_why,
    'the run does not say why answers are not clean; a computed run does, and a bundle brings it in its answer_marks table'
FROM marked
UNION ALL
SELECT 'no_marks', NOT says_why, 'the run says why answers are not clean, so that the sentence answers tells more'
FROM marked
UNION ALL
SELECT 'text_signs', EXISTS (FROM text_summary),
    'no explanation was looked at for signs of a text that went wrong; a bundle brings text in its explanations table'
UNION ALL
SELECT 'context_words', EXISTS (FROM text_summary WHERE excess_low IS NOT NULL),
    'no words of explanations were compared with contexts of several documents; a bundle brings doc_id and context in its '
    || 'items table, and text in its explanations table'
UNION ALL
SELECT 'alignments', EXISTS (FROM alignment)
        AND NOT (SELECT coalesce(bool_or((environment ->> '$.vectors') = 'given'), false) FROM run)
        OR (SELECT bool_or(TRY_CAST(environment ->> '$.alignment_notes.lowest_aligned_position' AS BIGINT) IS NOT NULL) FROM run),
    'where items stand in each tokenization is not known; a bundle brings it in its alignments table'
UNION ALL
SELECT 'tag_differences', EXISTS (FROM tag_difference WHERE ci_low IS NOT NULL),
    'no two values of a tag were compared; name `tags` in the experiment, or bring columns such as tag:condition in the items '
    || 'table'
UNION ALL
SELECT 'outliers', EXISTS (FROM item WHERE is_outlier IS NOT NULL),
    'no item was judged an outlier or none; a computed run judges them, and a bundle brings is_outlier in its items table, with '
    || 'cells over without_outliers';
