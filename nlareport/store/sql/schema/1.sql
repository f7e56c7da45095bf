-- The tables of a run file. Rows as Python sees them: nlareport/rows/.
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
