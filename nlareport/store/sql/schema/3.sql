-- Graded subsets, measures, effects, fitted baselines, plain text read in place of explanations, reasons for outlier flags.
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
