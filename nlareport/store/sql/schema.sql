-- The tables of a run file, schema version 6. Rows as Python sees them: nlareport/rows/.
-- What came later says since when: files of an older version get it when they are opened.
CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY,
    title VARCHAR NOT NULL,
    series_name VARCHAR,
    series_number INTEGER,
    kind VARCHAR NOT NULL CHECK (kind IN ('computed', 'published', 'imported')),
    experiment_yaml VARCHAR,
    nlareport_version VARCHAR NOT NULL,
    schema_version INTEGER NOT NULL,
    seed BIGINT,
    created_at TIMESTAMP NOT NULL,
    environment JSON NOT NULL
);
COMMENT ON TABLE run IS 'One row: what this file is and how it came to be.';
COMMENT ON COLUMN run.run_id IS 'Short name of the run, such as pocket or 18-cross-family.';
COMMENT ON COLUMN run.title IS 'Title of the report.';
COMMENT ON COLUMN run.series_name IS 'Series the report belongs to; NULL when it stands alone.';
COMMENT ON COLUMN run.series_number IS 'Number within the series.';
COMMENT ON COLUMN run.kind IS 'computed: measured by nlareport; published: figures carried over from a page; imported: rows from a bundle.';
COMMENT ON COLUMN run.experiment_yaml IS 'The experiment file as it was read; NULL for a bundle.';
COMMENT ON COLUMN run.nlareport_version IS 'Version of nlareport that made the file.';
COMMENT ON COLUMN run.schema_version IS 'Version of these tables.';
COMMENT ON COLUMN run.seed IS 'Seed of position sampling, permutations and bootstrap.';
COMMENT ON COLUMN run.created_at IS 'UTC time the file was made.';
COMMENT ON COLUMN run.environment IS 'JSON. Computed: device, dtype, batch size, library versions, checkpoint sha256. Published: protocol, range-only nulls, notes, samples.';

CREATE TABLE pair (
    pair_id VARCHAR PRIMARY KEY,
    label VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    base_model VARCHAR NOT NULL,
    block_index INTEGER NOT NULL,
    d_model INTEGER NOT NULL,
    injection_scale DOUBLE,
    mse_scale DOUBLE,
    variance_nrm DOUBLE,
    mean_norm DOUBLE,
    sidecar_variance_nrm DOUBLE,
    ordinal INTEGER NOT NULL
);
COMMENT ON TABLE pair IS 'One row per NLA pair.';
COMMENT ON COLUMN pair.pair_id IS 'What source and target hold elsewhere, such as qwen7-L20.';
COMMENT ON COLUMN pair.label IS 'Name on pages.';
COMMENT ON COLUMN pair.family IS 'Model family; cells within one family are cross-model, not cross-family.';
COMMENT ON COLUMN pair.base_model IS 'Model the pair was trained on.';
COMMENT ON COLUMN pair.block_index IS 'Zero-based decoder block K whose output is read: hidden_states[K+1].';
COMMENT ON COLUMN pair.d_model IS 'Width of the hidden vector.';
COMMENT ON COLUMN pair.injection_scale IS 'Norm a vector is rescaled to before it replaces the marker embedding; NULL: its own norm.';
COMMENT ON COLUMN pair.mse_scale IS 'Norm both vectors are scaled to before the error is taken; NULL: sqrt(d_model).';
COMMENT ON COLUMN pair.variance_nrm IS 'V: mean squared distance of the normalised golds from their mean, over this run''s items.';
COMMENT ON COLUMN pair.mean_norm IS 'Length of the mean of the unit golds, 0 to 1.';
COMMENT ON COLUMN pair.sidecar_variance_nrm IS 'V as the release states it, from its training data.';
COMMENT ON COLUMN pair.ordinal IS 'Order of rows and columns.';

CREATE TABLE document (
    doc_id VARCHAR PRIMARY KEY,
    corpus VARCHAR NOT NULL,
    source_index BIGINT,
    n_chars BIGINT,
    skipped_reason VARCHAR
);
COMMENT ON TABLE document IS 'Every document that was looked at.';
COMMENT ON COLUMN document.doc_id IS 'corpus:split:index; seeds the sampling of its positions.';
COMMENT ON COLUMN document.corpus IS 'Corpus name.';
COMMENT ON COLUMN document.source_index IS 'Index in the corpus.';
COMMENT ON COLUMN document.n_chars IS 'Length in characters.';
COMMENT ON COLUMN document.skipped_reason IS 'Why it gave no item; NULL when it gave one.';

-- Since schema version 5.
CREATE TABLE making (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('base_model', 'verbalizer', 'reconstructor')),
    kind VARCHAR NOT NULL CHECK (
        kind IN ('weights', 'config', 'tokenizer', 'chat_template', 'prompt', 'sidecar', 'stop_ids', 'script')
    ),
    digest VARCHAR NOT NULL,
    PRIMARY KEY (pair_id, role, kind)
);
COMMENT ON TABLE making IS 'What decides the answers of every checkpoint, as digests taken before its first batch; a run goes on with the same alone.';
COMMENT ON COLUMN making.pair_id IS 'Pair.';
COMMENT ON COLUMN making.role IS 'Which of its checkpoints: base_model, verbalizer or reconstructor.';
COMMENT ON COLUMN making.kind IS 'weights: all *.safetensors; config, tokenizer, chat_template, sidecar: what those files say; prompt: its token ids as sent; stop_ids: where answers end; script: a pair without checkpoints.';
COMMENT ON COLUMN making.digest IS 'SHA-256 in hex.';

-- Since schema version 6.
CREATE TABLE choice (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('base_model', 'verbalizer', 'reconstructor')),
    topic VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    PRIMARY KEY (pair_id, role, topic)
);
COMMENT ON TABLE choice IS 'What was done where a checkpoint leaves it open, or where the public release does otherwise.';
COMMENT ON COLUMN choice.pair_id IS 'Pair.';
COMMENT ON COLUMN choice.role IS 'Which of its checkpoints: base_model, verbalizer or reconstructor.';
COMMENT ON COLUMN choice.topic IS 'One word for what was chosen, such as stop_ids or stream.';
COMMENT ON COLUMN choice.text IS 'One sentence: what was chosen.';

-- Since schema version 6.
CREATE TABLE self_test (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('base_model', 'verbalizer', 'reconstructor')),
    test VARCHAR NOT NULL,
    passed BOOLEAN NOT NULL,
    value DOUBLE CHECK (value IS NULL OR isfinite(value)),
    tolerance DOUBLE,
    text VARCHAR NOT NULL,
    PRIMARY KEY (pair_id, role, test)
);
COMMENT ON TABLE self_test IS 'What quick tests of each model said while the run computed with it.';
COMMENT ON COLUMN self_test.pair_id IS 'Pair.';
COMMENT ON COLUMN self_test.role IS 'Which of its checkpoints: base_model, verbalizer or reconstructor.';
COMMENT ON COLUMN self_test.test IS 'Name of the test, such as alone_equals_batch.';
COMMENT ON COLUMN self_test.passed IS 'Whether it passed.';
COMMENT ON COLUMN self_test.value IS 'What was measured; NULL where the test has no number.';
COMMENT ON COLUMN self_test.tolerance IS 'The largest value that passes; NULL where the test has no number.';
COMMENT ON COLUMN self_test.text IS 'One sentence: what was held against what.';

-- Since schema version 5.
CREATE TABLE document_digest (
    doc_id VARCHAR PRIMARY KEY,
    text_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE document_digest IS 'The texts of the documents that were looked at, as digests: a changed corpus is told by them.';
COMMENT ON COLUMN document_digest.doc_id IS 'Document.';
COMMENT ON COLUMN document_digest.text_sha256 IS 'SHA-256 of its whole text in UTF-8, in hex.';

CREATE TABLE item (
    item_id BIGINT PRIMARY KEY,
    doc_id VARCHAR NOT NULL,
    char_end BIGINT,
    token VARCHAR NOT NULL,
    context VARCHAR,
    stratum VARCHAR NOT NULL CHECK (stratum IN ('digits', 'punctuation', 'prose')),
    is_outlier BOOLEAN
);
COMMENT ON TABLE item IS 'One position in one document, the same place in the text for every pair.';
COMMENT ON COLUMN item.item_id IS 'Number of the item, in corpus order.';
COMMENT ON COLUMN item.doc_id IS 'Document it stands in.';
COMMENT ON COLUMN item.char_end IS 'Character just after the item''s token, from the document''s start.';
COMMENT ON COLUMN item.token IS 'Text of the reference token.';
COMMENT ON COLUMN item.context IS 'Tail of the text up to and including the token.';
COMMENT ON COLUMN item.stratum IS 'digits: the token holds a digit; punctuation: no letter or digit; prose: the rest.';
COMMENT ON COLUMN item.is_outlier IS 'In some pair its norm is over 4 times the median, or its explanation nearly repeats another item''s.';

CREATE TABLE alignment (
    item_id BIGINT NOT NULL,
    pair_id VARCHAR NOT NULL,
    token_index INTEGER NOT NULL,
    char_error INTEGER NOT NULL,
    activation_norm DOUBLE NOT NULL CHECK (isfinite(activation_norm)),
    PRIMARY KEY (pair_id, item_id)
);
COMMENT ON TABLE alignment IS 'Where each pair''s tokenization meets each item.';
COMMENT ON COLUMN alignment.item_id IS 'Item.';
COMMENT ON COLUMN alignment.pair_id IS 'Pair whose tokenization it is.';
COMMENT ON COLUMN alignment.token_index IS 'Zero-based index of the token, special tokens counted: also its left context in tokens.';
COMMENT ON COLUMN alignment.char_error IS 'End of the token minus end of the item, in characters.';
COMMENT ON COLUMN alignment.activation_norm IS 'Euclidean norm of the raw activation.';

CREATE TABLE explanation (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    text VARCHAR,
    completion VARCHAR,
    n_tokens INTEGER,
    finish VARCHAR CHECK (finish IN ('closed', 'length', 'stop')),
    is_clean BOOLEAN,
    PRIMARY KEY (source, item_id)
);
COMMENT ON TABLE explanation IS 'What each source''s verbalizer said of each item.';
COMMENT ON COLUMN explanation.item_id IS 'Item.';
COMMENT ON COLUMN explanation.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN explanation.text IS 'What stands between the explanation tags, stripped; NULL when there is nothing.';
COMMENT ON COLUMN explanation.completion IS 'The whole answer.';
COMMENT ON COLUMN explanation.n_tokens IS 'Tokens generated, the stop token included.';
COMMENT ON COLUMN explanation.finish IS 'closed: the first opening tag and its closing tag were found; length: the token budget ran out without them; stop: ended by itself without them.';
COMMENT ON COLUMN explanation.is_clean IS 'The first opening tag and its closing tag were found within the token budget, and something between them; why not is in answer_mark. A computed run whose environment names no answer_rule was judged by the closing tag alone.';

-- Since schema version 6.
CREATE TABLE answer_mark (
    source VARCHAR NOT NULL,
    item_id BIGINT NOT NULL,
    mark VARCHAR NOT NULL CHECK (
        mark IN ('no_tag', 'misspelt_tag', 'unopened_tag', 'unclosed_tag', 'budget', 'empty', 'overrun')
    ),
    PRIMARY KEY (source, mark, item_id)
);
COMMENT ON TABLE answer_mark IS 'What is odd about the form of an answer; one without a row is clean and ended by itself.';
COMMENT ON COLUMN answer_mark.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN answer_mark.item_id IS 'Item.';
COMMENT ON COLUMN answer_mark.mark IS 'no_tag: no tag at all; misspelt_tag: a tag spelt otherwise; unopened_tag: closed but never opened; unclosed_tag: opened, and ended by itself without the closing tag; budget: the token budget ran out before the closing tag; empty: nothing between the tags; overrun: clean, but the budget ran out behind the closing tag.';

-- Since schema version 6. How each answer was judged: of one without a row of its own in answer_mark, in an older run or
-- a bundle, its finish tells what it can.
CREATE VIEW judged_answer AS
WITH marked AS (
    SELECT
        source,
        item_id,
        bool_or(mark = 'overrun') AS is_overrun,
        min(mark) FILTER (WHERE mark <> 'overrun') AS unclean_mark
    FROM answer_mark
    GROUP BY source, item_id
)
SELECT
    e.source,
    e.item_id,
    e.is_clean,
    CASE
        WHEN e.is_clean AND m.is_overrun THEN 'overrun'
        WHEN NOT e.is_clean THEN coalesce(
            m.unclean_mark,
            CASE e.finish WHEN 'length' THEN 'budget' WHEN 'stop' THEN 'unclosed_tag' ELSE 'unknown' END
        )
    END AS mark
FROM explanation AS e
LEFT JOIN marked AS m USING (source, item_id);
COMMENT ON VIEW judged_answer IS 'How the form of each answer was judged: one row per explanation, worked out from explanation and answer_mark.';
COMMENT ON COLUMN judged_answer.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN judged_answer.item_id IS 'Item.';
COMMENT ON COLUMN judged_answer.is_clean IS 'As in explanation.';
COMMENT ON COLUMN judged_answer.mark IS 'What is odd about it, as in answer_mark; unknown: not clean, and nothing says why; NULL: clean and ended by itself, or never judged.';

CREATE TABLE score (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    mse_nrm DOUBLE CHECK (mse_nrm IS NULL OR isfinite(mse_nrm)),
    fve_nrm DOUBLE CHECK (fve_nrm IS NULL OR isfinite(fve_nrm)),
    unscored_reason VARCHAR,
    PRIMARY KEY (source, target, item_id)
);
COMMENT ON TABLE score IS 'One row per item and cell.';
COMMENT ON COLUMN score.item_id IS 'Item.';
COMMENT ON COLUMN score.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN score.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN score.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4.';
COMMENT ON COLUMN score.fve_nrm IS '1 - mse_nrm / V of the target.';
COMMENT ON COLUMN score.unscored_reason IS 'Why there is no score; NULL when there is one.';

CREATE TABLE null_score (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    permutation INTEGER NOT NULL,
    mse_nrm DOUBLE NOT NULL CHECK (isfinite(mse_nrm)),
    PRIMARY KEY (source, target, permutation, item_id)
);
COMMENT ON TABLE null_score IS 'The same reconstructions against the golds of other documents.';
COMMENT ON COLUMN null_score.item_id IS 'Item whose explanation was read.';
COMMENT ON COLUMN null_score.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN null_score.target IS 'Pair whose reconstructor read it.';
COMMENT ON COLUMN null_score.permutation IS 'Number of the seeded derangement.';
COMMENT ON COLUMN null_score.mse_nrm IS 'Squared error of directions against the other document''s gold.';

-- Since schema version 2.
CREATE TABLE ablation (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    mse_nrm DOUBLE CHECK (mse_nrm IS NULL OR isfinite(mse_nrm)),
    PRIMARY KEY (source, target, method, item_id)
);
COMMENT ON TABLE ablation IS 'Explanations changed on purpose and read again: one row per item, cell and change. A text the change leaves as it was is not read again.';
COMMENT ON COLUMN ablation.item_id IS 'Item.';
COMMENT ON COLUMN ablation.source IS 'Pair whose verbalizer wrote the text that was changed.';
COMMENT ON COLUMN ablation.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN ablation.method IS 'What was done to the text: words_shuffled, quotes_kept, quotes_blanked, digits_masked, or a cut such as first_8_tokens.';
COMMENT ON COLUMN ablation.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4; NULL when the reconstruction has no direction.';

-- Since schema version 3.
CREATE TABLE plain_reading (
    item_id BIGINT NOT NULL,
    target VARCHAR NOT NULL,
    n_words INTEGER NOT NULL,
    mse_nrm DOUBLE CHECK (mse_nrm IS NULL OR isfinite(mse_nrm)),
    PRIMARY KEY (target, n_words, item_id)
);
COMMENT ON TABLE plain_reading IS 'The plain text before each item, read in an explanation''s place.';
COMMENT ON COLUMN plain_reading.item_id IS 'Item.';
COMMENT ON COLUMN plain_reading.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN plain_reading.n_words IS 'How many of the context''s last words were read; where it is shorter, all of it.';
COMMENT ON COLUMN plain_reading.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4; NULL when the reconstruction has no direction.';

CREATE TABLE cell (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    subset VARCHAR NOT NULL,
    n_scored BIGINT,
    n_unscored BIGINT,
    fve_nrm DOUBLE CHECK (fve_nrm IS NULL OR isfinite(fve_nrm)),
    ci_low DOUBLE,
    ci_high DOUBLE,
    fve_meannorm DOUBLE,
    median DOUBLE,
    trimmed_mean DOUBLE,
    share_below_zero DOUBLE,
    null_fve DOUBLE,
    ceiling_fraction DOUBLE,
    PRIMARY KEY (source, target, subset)
);
COMMENT ON TABLE cell IS 'The matrix, over all items and over subsets of them.';
COMMENT ON COLUMN cell.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN cell.target IS 'Pair whose reconstructor read it.';
COMMENT ON COLUMN cell.subset IS 'all, without_outliers, digits, punctuation, prose, or a subset of subset_range.';
COMMENT ON COLUMN cell.n_scored IS 'Items with a score.';
COMMENT ON COLUMN cell.n_unscored IS 'Items without one.';
COMMENT ON COLUMN cell.fve_nrm IS 'Mean of the items'' fve_nrm: fraction of variance explained, raw-mean denominator.';
COMMENT ON COLUMN cell.ci_low IS 'Lower end of the 95% percentile bootstrap over documents.';
COMMENT ON COLUMN cell.ci_high IS 'Upper end.';
COMMENT ON COLUMN cell.fve_meannorm IS '1 - mean(mse_nrm) / (2(1 - |mu|)): the best constant guess scores exactly 0.';
COMMENT ON COLUMN cell.median IS 'Median of the items'' fve_nrm.';
COMMENT ON COLUMN cell.trimmed_mean IS 'Mean of the middle 80% of the items'' fve_nrm.';
COMMENT ON COLUMN cell.share_below_zero IS 'Share of items with fve_nrm below 0.';
COMMENT ON COLUMN cell.null_fve IS 'fve_nrm of the shuffled-pair null.';
COMMENT ON COLUMN cell.ceiling_fraction IS 'fve_nrm over the target''s diagonal.';

CREATE TABLE baseline (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    fve_nrm DOUBLE,
    ci_low DOUBLE,
    ci_high DOUBLE,
    PRIMARY KEY (source, target, method)
);
COMMENT ON TABLE baseline IS 'What something that is not an explanation scores on the same cell.';
COMMENT ON COLUMN baseline.source IS 'Source of the cell.';
COMMENT ON COLUMN baseline.target IS 'Target of the cell.';
COMMENT ON COLUMN baseline.method IS 'best_constant, nearest_neighbour, ridge, or last_8_words and the like.';
COMMENT ON COLUMN baseline.fve_nrm IS 'Its fve_nrm on the cell''s items.';
COMMENT ON COLUMN baseline.ci_low IS 'Lower end of the 95% percentile bootstrap over documents.';
COMMENT ON COLUMN baseline.ci_high IS 'Upper end.';

-- Since schema version 3.
CREATE TABLE learning_curve (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    n_items BIGINT NOT NULL,
    fve_nrm DOUBLE CHECK (fve_nrm IS NULL OR isfinite(fve_nrm)),
    ci_low DOUBLE,
    ci_high DOUBLE,
    PRIMARY KEY (source, target, method, n_items)
);
COMMENT ON TABLE learning_curve IS 'What a fitted baseline scores on a cell after so many training items.';
COMMENT ON COLUMN learning_curve.source IS 'Source of the cell.';
COMMENT ON COLUMN learning_curve.target IS 'Target of the cell.';
COMMENT ON COLUMN learning_curve.method IS 'Name of the method, as in baseline: ridge.';
COMMENT ON COLUMN learning_curve.n_items IS 'Items it was fitted on, in the mean over folds.';
COMMENT ON COLUMN learning_curve.fve_nrm IS 'Its fve_nrm on the cell''s items, none of whose documents was fitted on.';
COMMENT ON COLUMN learning_curve.ci_low IS 'Lower end of the 95% percentile bootstrap over documents.';
COMMENT ON COLUMN learning_curve.ci_high IS 'Upper end.';

-- Since schema version 2.
CREATE TABLE ablation_cell (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    ordinal INTEGER NOT NULL,
    n_scored BIGINT NOT NULL,
    fve_nrm DOUBLE CHECK (fve_nrm IS NULL OR isfinite(fve_nrm)),
    ci_low DOUBLE,
    ci_high DOUBLE,
    fve_drop DOUBLE CHECK (fve_drop IS NULL OR isfinite(fve_drop)),
    drop_low DOUBLE,
    drop_high DOUBLE,
    PRIMARY KEY (source, target, method)
);
COMMENT ON TABLE ablation_cell IS 'What each change to the texts leaves of a cell''s score, and what it takes.';
COMMENT ON COLUMN ablation_cell.source IS 'Pair whose verbalizer wrote the texts.';
COMMENT ON COLUMN ablation_cell.target IS 'Pair whose reconstructor read them.';
COMMENT ON COLUMN ablation_cell.method IS 'What was done to the texts, as in ablation.';
COMMENT ON COLUMN ablation_cell.ordinal IS 'Place of the method in the experiment file: the order of rows.';
COMMENT ON COLUMN ablation_cell.n_scored IS 'Items scored both as written and changed.';
COMMENT ON COLUMN ablation_cell.fve_nrm IS 'fve_nrm of the changed texts over these items.';
COMMENT ON COLUMN ablation_cell.ci_low IS 'Lower end of the 95% percentile bootstrap over documents.';
COMMENT ON COLUMN ablation_cell.ci_high IS 'Upper end.';
COMMENT ON COLUMN ablation_cell.fve_drop IS 'fve_nrm as written minus fve_nrm changed, item by item: above 0 when the change costs score.';
COMMENT ON COLUMN ablation_cell.drop_low IS 'Lower end of the 95% percentile bootstrap of the paired difference over documents.';
COMMENT ON COLUMN ablation_cell.drop_high IS 'Upper end.';

-- Since schema version 3.
CREATE TABLE outlier (
    item_id BIGINT NOT NULL,
    pair_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL CHECK (reason IN ('norm', 'near_duplicate', 'sink')),
    value DOUBLE NOT NULL CHECK (isfinite(value)),
    PRIMARY KEY (pair_id, reason, item_id)
);
COMMENT ON TABLE outlier IS 'Why items are flagged as outliers: one row per item, pair and reason.';
COMMENT ON COLUMN outlier.item_id IS 'Item.';
COMMENT ON COLUMN outlier.pair_id IS 'Pair whose activation or explanation it is.';
COMMENT ON COLUMN outlier.reason IS 'norm: over 4 times the pair''s median; near_duplicate: the explanation nearly repeats another item''s; sink: both.';
COMMENT ON COLUMN outlier.value IS 'norm, sink: the norm over the pair''s median; near_duplicate: items of which nearly the same was said, this one among them.';

-- Since schema version 3.
CREATE TABLE activation (
    item_id BIGINT NOT NULL,
    pair_id VARCHAR NOT NULL,
    atypicality DOUBLE NOT NULL CHECK (isfinite(atypicality)),
    PRIMARY KEY (pair_id, item_id)
);
COMMENT ON TABLE activation IS 'What is told of each pair''s activation at each item beside its norm, which stands in alignment.';
COMMENT ON COLUMN activation.item_id IS 'Item.';
COMMENT ON COLUMN activation.pair_id IS 'Pair whose activation it is.';
COMMENT ON COLUMN activation.atypicality IS '1 - cos to the pair''s mean direction over the run''s items, 0 to 2.';

-- Since schema version 3.
CREATE TABLE subset_range (
    target VARCHAR NOT NULL,
    subset VARCHAR NOT NULL,
    low DOUBLE NOT NULL CHECK (isfinite(low)),
    high DOUBLE NOT NULL CHECK (isfinite(high)),
    n_items BIGINT NOT NULL,
    PRIMARY KEY (target, subset)
);
COMMENT ON TABLE subset_range IS 'Graded subsets of cell: quarters of the items by a property of the target, equal values kept together.';
COMMENT ON COLUMN subset_range.target IS 'Pair in whose tokenization, and by whose activations, the items are graded.';
COMMENT ON COLUMN subset_range.subset IS 'context_1 to context_4 by alignment.token_index, norm_1 to norm_4 by alignment.activation_norm, atypical_1 to atypical_4 by activation.atypicality.';
COMMENT ON COLUMN subset_range.low IS 'Smallest value in the subset, which is included.';
COMMENT ON COLUMN subset_range.high IS 'Largest value in the subset, which is included.';
COMMENT ON COLUMN subset_range.n_items IS 'Items in the subset.';

-- Since schema version 3.
CREATE TABLE resemblance (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    centred_cosine DOUBLE CHECK (centred_cosine IS NULL OR isfinite(centred_cosine)),
    n_nearer BIGINT NOT NULL,
    n_others BIGINT NOT NULL,
    PRIMARY KEY (source, target, item_id)
);
COMMENT ON TABLE resemblance IS 'How each reconstruction stands to its own gold and to the golds of other documents.';
COMMENT ON COLUMN resemblance.item_id IS 'Item.';
COMMENT ON COLUMN resemblance.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN resemblance.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN resemblance.centred_cosine IS 'Cosine once the target''s mean of unit golds is taken from both unit vectors; NULL when either is that mean.';
COMMENT ON COLUMN resemblance.n_nearer IS 'Golds of other documents at least as near to the reconstruction as its own, by cosine; ties count against it.';
COMMENT ON COLUMN resemblance.n_others IS 'Golds of other documents.';

-- Since schema version 3.
CREATE TABLE measure (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    measure VARCHAR NOT NULL,
    value DOUBLE NOT NULL CHECK (isfinite(value)),
    ci_low DOUBLE,
    ci_high DOUBLE,
    chance DOUBLE,
    n_scored BIGINT NOT NULL,
    PRIMARY KEY (source, target, measure)
);
COMMENT ON TABLE measure IS 'Figures of each cell over all items that can be held beside those of another target.';
COMMENT ON COLUMN measure.source IS 'Pair whose verbalizer wrote the texts.';
COMMENT ON COLUMN measure.target IS 'Pair whose reconstructor read them.';
COMMENT ON COLUMN measure.measure IS 'centred_cosine; identified_of_2, _10, _all: own gold nearest among so many; ceiling_fraction.';
COMMENT ON COLUMN measure.value IS 'Mean over the items; for ceiling_fraction the cell''s fve_nrm over its target''s diagonal.';
COMMENT ON COLUMN measure.ci_low IS 'Lower end of the 95% percentile bootstrap over documents; for ceiling_fraction cell and diagonal drawn together.';
COMMENT ON COLUMN measure.ci_high IS 'Upper end.';
COMMENT ON COLUMN measure.chance IS 'By chance: 1/k for identification, the mean against all other documents'' golds for centred_cosine; NULL for ceiling_fraction.';
COMMENT ON COLUMN measure.n_scored IS 'Items it is taken over.';

-- Since schema version 3.
CREATE TABLE effect (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('source', 'target')),
    effect DOUBLE NOT NULL CHECK (isfinite(effect)),
    ci_low DOUBLE,
    ci_high DOUBLE,
    PRIMARY KEY (pair_id, role)
);
COMMENT ON TABLE effect IS 'Additive fit over the cross-model cells: fve_nrm = level + source effect + target effect.';
COMMENT ON COLUMN effect.pair_id IS 'Pair.';
COMMENT ON COLUMN effect.role IS 'source: as a writer; target: as a reader.';
COMMENT ON COLUMN effect.effect IS 'In fve_nrm; the effects of each role sum to 0.';
COMMENT ON COLUMN effect.ci_low IS 'Lower end of the 95% percentile bootstrap over documents, the fit made anew in each draw.';
COMMENT ON COLUMN effect.ci_high IS 'Upper end.';

CREATE TABLE claim (
    claim_id VARCHAR PRIMARY KEY,
    text VARCHAR NOT NULL,
    query VARCHAR NOT NULL,
    holds BOOLEAN NOT NULL,
    figures JSON NOT NULL
);
COMMENT ON TABLE claim IS 'Sentences of the report and whether they hold.';
COMMENT ON COLUMN claim.claim_id IS 'Name of the claim.';
COMMENT ON COLUMN claim.text IS 'The sentence, with its figures filled in.';
COMMENT ON COLUMN claim.query IS 'Name of the query its figures come from.';
COMMENT ON COLUMN claim.holds IS 'Whether its check held on this run.';
COMMENT ON COLUMN claim.figures IS 'JSON: the figures by name.';

-- Since schema version 4.
-- The additive fit fve = level + source effect + target effect over all cross-model cells. With n pairs, row sum r and
-- column sum c of a pair, each less (n-1) times the level, its least-squares source effect is
-- ((n-1) r + c) / (n (n-2)), its target effect ((n-1) c + r) / (n (n-2)).
CREATE VIEW additive_fit AS
WITH
crossing AS (
    SELECT source, target, fve_nrm FROM cell WHERE subset = 'all' AND source <> target AND fve_nrm IS NOT NULL
),
whole AS (
    SELECT (SELECT count(*) FROM pair) AS n, count(*) AS n_cells, avg(fve_nrm) AS level FROM crossing
),
sums AS (
    SELECT
        p.pair_id,
        w.n,
        w.n >= 3 AND w.n_cells = w.n * (w.n - 1) AS is_whole,
        (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
        (SELECT avg(fve_nrm) FROM crossing WHERE target = p.pair_id) AS mean_as_target,
        (SELECT sum(fve_nrm) FROM crossing WHERE source = p.pair_id) - (w.n - 1) * w.level AS row_excess,
        (SELECT sum(fve_nrm) FROM crossing WHERE target = p.pair_id) - (w.n - 1) * w.level AS column_excess
    FROM pair AS p
    CROSS JOIN whole AS w
)
SELECT
    pair_id,
    mean_as_source,
    mean_as_target,
    CASE WHEN is_whole THEN ((n - 1) * row_excess + column_excess) / (n * (n - 2)) END AS source_effect,
    CASE WHEN is_whole THEN ((n - 1) * column_excess + row_excess) / (n * (n - 2)) END AS target_effect
FROM sums;
COMMENT ON VIEW additive_fit IS 'How good each pair writes and reads, two ways: one row per pair, worked out from cell.';
COMMENT ON COLUMN additive_fit.pair_id IS 'Pair.';
COMMENT ON COLUMN additive_fit.mean_as_source IS 'Mean fve_nrm of its cross-model cells as source; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.mean_as_target IS 'Mean fve_nrm of its cross-model cells as target; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.source_effect IS 'How far it lifts its cells as source; NULL with fewer than three pairs or a cross-model cell missing.';
COMMENT ON COLUMN additive_fit.target_effect IS 'How far it lifts its cells as target; NULL with fewer than three pairs or a cross-model cell missing.';
