-- Explanations changed on purpose.
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
