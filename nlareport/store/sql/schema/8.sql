-- Several explanations of one item by one source: `draw` numbers them, from 0, in every table that has a row per
-- explanation. A key cannot be altered in place, so each of these tables is built again with its rows, which were of the
-- one draw there was. Tags of items, and how the draws of an item are folded into one score.

ALTER TABLE explanation RENAME TO explanation_of_one_draw;
CREATE TABLE explanation (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    text VARCHAR,
    completion VARCHAR,
    n_tokens INTEGER,
    finish VARCHAR CHECK (finish IN ('closed', 'length', 'stop')),
    is_clean BOOLEAN,
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, draw, item_id)
);
INSERT INTO explanation BY NAME FROM explanation_of_one_draw;
DROP TABLE explanation_of_one_draw;
COMMENT ON TABLE explanation IS 'What each source''s verbalizer said of each item.';
COMMENT ON COLUMN explanation.item_id IS 'Item.';
COMMENT ON COLUMN explanation.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN explanation.text IS 'What stands between the explanation tags, stripped; NULL when there is nothing.';
COMMENT ON COLUMN explanation.completion IS 'The whole answer.';
COMMENT ON COLUMN explanation.n_tokens IS 'Tokens generated, the stop token included.';
COMMENT ON COLUMN explanation.finish IS 'closed: the first opening tag and its closing tag were found; length: the token budget ran out without them; stop: ended by itself without them.';
COMMENT ON COLUMN explanation.is_clean IS 'The first opening tag and its closing tag were found within the token budget, and something between them; why not is in answer_mark. A computed run whose environment names no answer_rule was judged by the closing tag alone.';
COMMENT ON COLUMN explanation.draw IS 'Which of the explanations drawn for the item it is, from 0.';

ALTER TABLE answer_mark RENAME TO answer_mark_of_one_draw;
CREATE TABLE answer_mark (
    source VARCHAR NOT NULL,
    item_id BIGINT NOT NULL,
    mark VARCHAR NOT NULL CHECK (
        mark IN ('no_tag', 'misspelt_tag', 'unopened_tag', 'unclosed_tag', 'budget', 'empty', 'overrun')
    ),
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, draw, mark, item_id)
);
INSERT INTO answer_mark BY NAME FROM answer_mark_of_one_draw;
DROP TABLE answer_mark_of_one_draw;
COMMENT ON TABLE answer_mark IS 'What is odd about the form of an answer; one without a row is clean and ended by itself.';
COMMENT ON COLUMN answer_mark.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN answer_mark.item_id IS 'Item.';
COMMENT ON COLUMN answer_mark.mark IS 'no_tag: no tag at all; misspelt_tag: a tag spelt otherwise; unopened_tag: closed but never opened; unclosed_tag: opened, and ended by itself without the closing tag; budget: the token budget ran out before the closing tag; empty: nothing between the tags; overrun: clean, but the budget ran out behind the closing tag.';
COMMENT ON COLUMN answer_mark.draw IS 'Which of the explanations drawn for the item it is, from 0.';

ALTER TABLE score RENAME TO score_of_one_draw;
CREATE TABLE score (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    mse_nrm DOUBLE CHECK (mse_nrm IS NULL OR isfinite(mse_nrm)),
    fve_nrm DOUBLE CHECK (fve_nrm IS NULL OR isfinite(fve_nrm)),
    unscored_reason VARCHAR,
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, target, draw, item_id)
);
INSERT INTO score BY NAME FROM score_of_one_draw;
DROP TABLE score_of_one_draw;
COMMENT ON TABLE score IS 'One row per item and cell.';
COMMENT ON COLUMN score.item_id IS 'Item.';
COMMENT ON COLUMN score.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN score.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN score.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4.';
COMMENT ON COLUMN score.fve_nrm IS '1 - mse_nrm / V of the target.';
COMMENT ON COLUMN score.unscored_reason IS 'Why there is no score; NULL when there is one.';
COMMENT ON COLUMN score.draw IS 'Which of the explanations drawn for the item it is, from 0.';

ALTER TABLE null_score RENAME TO null_score_of_one_draw;
CREATE TABLE null_score (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    permutation INTEGER NOT NULL,
    mse_nrm DOUBLE NOT NULL CHECK (isfinite(mse_nrm)),
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, target, draw, permutation, item_id)
);
INSERT INTO null_score BY NAME FROM null_score_of_one_draw;
DROP TABLE null_score_of_one_draw;
COMMENT ON TABLE null_score IS 'The same reconstructions against the golds of other documents.';
COMMENT ON COLUMN null_score.item_id IS 'Item whose explanation was read.';
COMMENT ON COLUMN null_score.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN null_score.target IS 'Pair whose reconstructor read it.';
COMMENT ON COLUMN null_score.permutation IS 'Number of the seeded derangement.';
COMMENT ON COLUMN null_score.mse_nrm IS 'Squared error of directions against the other document''s gold.';
COMMENT ON COLUMN null_score.draw IS 'Which of the explanations drawn for the item it is, from 0.';

ALTER TABLE ablation RENAME TO ablation_of_one_draw;
CREATE TABLE ablation (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    mse_nrm DOUBLE CHECK (mse_nrm IS NULL OR isfinite(mse_nrm)),
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, target, draw, method, item_id)
);
INSERT INTO ablation BY NAME FROM ablation_of_one_draw;
DROP TABLE ablation_of_one_draw;
COMMENT ON TABLE ablation IS 'Explanations changed on purpose and read again: one row per item, cell and change. A text the change leaves as it was is not read again.';
COMMENT ON COLUMN ablation.item_id IS 'Item.';
COMMENT ON COLUMN ablation.source IS 'Pair whose verbalizer wrote the text that was changed.';
COMMENT ON COLUMN ablation.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN ablation.method IS 'What was done to the text: words_shuffled, quotes_kept, quotes_blanked, digits_masked, or a cut such as first_8_tokens.';
COMMENT ON COLUMN ablation.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4; NULL when the reconstruction has no direction.';
COMMENT ON COLUMN ablation.draw IS 'Which of the explanations drawn for the item it is, from 0.';

ALTER TABLE resemblance RENAME TO resemblance_of_one_draw;
CREATE TABLE resemblance (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    centred_cosine DOUBLE CHECK (centred_cosine IS NULL OR isfinite(centred_cosine)),
    n_nearer BIGINT NOT NULL,
    n_others BIGINT NOT NULL,
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, target, draw, item_id)
);
INSERT INTO resemblance BY NAME FROM resemblance_of_one_draw;
DROP TABLE resemblance_of_one_draw;
COMMENT ON TABLE resemblance IS 'How each reconstruction stands to its own gold and to the golds of other documents.';
COMMENT ON COLUMN resemblance.item_id IS 'Item.';
COMMENT ON COLUMN resemblance.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN resemblance.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN resemblance.centred_cosine IS 'Cosine once the target''s mean of unit golds is taken from both unit vectors; NULL when either is that mean.';
COMMENT ON COLUMN resemblance.n_nearer IS 'Golds of other documents at least as near to the reconstruction as its own, by cosine; ties count against it.';
COMMENT ON COLUMN resemblance.n_others IS 'Golds of other documents.';
COMMENT ON COLUMN resemblance.draw IS 'Which of the explanations drawn for the item it is, from 0.';

CREATE TABLE tag (
    item_id BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    PRIMARY KEY (name, item_id)
);
COMMENT ON TABLE tag IS 'What is said of items by name: one row per item and tag.';
COMMENT ON COLUMN tag.item_id IS 'Item.';
COMMENT ON COLUMN tag.name IS 'Name of the tag, such as language.';
COMMENT ON COLUMN tag.value IS 'What it says of the item, such as en.';

ALTER TABLE run ADD COLUMN reducer VARCHAR DEFAULT 'mean';
ALTER TABLE run ALTER COLUMN reducer SET NOT NULL;
COMMENT ON COLUMN run.reducer IS 'How the scores of an item''s draws become one: mean.';

-- With one draw the scores stand as they are, in their order: sums over them round as they always did.
CREATE VIEW item_score AS
WITH drawn AS (
    SELECT coalesce(max(draw), 0) > 0 AS is_folded, (SELECT any_value(reducer) FROM run) AS reducer FROM score
)
SELECT item_id, source, target, mse_nrm, fve_nrm, unscored_reason
FROM score
WHERE NOT (SELECT is_folded FROM drawn)
UNION ALL
SELECT
    item_id,
    source,
    target,
    CASE (SELECT reducer FROM drawn) WHEN 'mean' THEN avg(mse_nrm) END AS mse_nrm,
    CASE (SELECT reducer FROM drawn) WHEN 'mean' THEN avg(fve_nrm) END AS fve_nrm,
    CASE WHEN count(mse_nrm) + count(fve_nrm) = 0 THEN min(unscored_reason) END AS unscored_reason
FROM score
WHERE (SELECT is_folded FROM drawn)
GROUP BY item_id, source, target;
COMMENT ON VIEW item_score IS 'One row per item and cell: the scores of its draws, folded as run.reducer says.';
COMMENT ON COLUMN item_score.item_id IS 'Item.';
COMMENT ON COLUMN item_score.source IS 'Pair whose verbalizer wrote the texts.';
COMMENT ON COLUMN item_score.target IS 'Pair whose reconstructor read them and whose activation is the gold.';
COMMENT ON COLUMN item_score.mse_nrm IS 'Squared error of directions, 2(1 - cos), 0 to 4, over the draws that are scored.';
COMMENT ON COLUMN item_score.fve_nrm IS '1 - mse_nrm / V of the target, over the draws that are scored.';
COMMENT ON COLUMN item_score.unscored_reason IS 'Why none of its draws has a score; NULL when one has.';

-- How each answer was judged: of one without a row of its own in answer_mark, in an older run or
-- a bundle, its finish tells what it can.
CREATE OR REPLACE VIEW judged_answer AS
WITH marked AS (
    SELECT
        source,
        item_id,
        draw,
        bool_or(mark = 'overrun') AS is_overrun,
        min(mark) FILTER (WHERE mark <> 'overrun') AS unclean_mark
    FROM answer_mark
    GROUP BY source, item_id, draw
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
    END AS mark,
    e.draw
FROM explanation AS e
LEFT JOIN marked AS m USING (source, item_id, draw);
COMMENT ON VIEW judged_answer IS 'How the form of each answer was judged: one row per explanation, worked out from explanation and answer_mark.';
COMMENT ON COLUMN judged_answer.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN judged_answer.item_id IS 'Item.';
COMMENT ON COLUMN judged_answer.is_clean IS 'As in explanation.';
COMMENT ON COLUMN judged_answer.mark IS 'What is odd about it, as in answer_mark; unknown: not clean, and nothing says why; NULL: clean and ended by itself, or never judged.';
COMMENT ON COLUMN judged_answer.draw IS 'Which of the explanations drawn for the item it is, from 0.';

-- How far rounding may have put each value off: the last decimal that any of its column has, once those that are
-- exact in single precision are read as such. At most 0.01: with fewer decimals nothing was rounded.
CREATE VIEW rounding_step AS
WITH
-- Two at a time: of a longer UNION the file keeps another text than this one, and would be taken for foreign.
of_scores AS (
    SELECT 'score.fve_nrm' AS place, fve_nrm AS value FROM score
    UNION ALL
    SELECT 'score.mse_nrm' AS place, mse_nrm AS value FROM score
),
of_cells AS (
    SELECT 'cell.fve_nrm' AS place, fve_nrm AS value FROM cell
    UNION ALL
    SELECT 'cell.null_fve' AS place, null_fve AS value FROM cell
),
of_fractions AS (
    SELECT 'ceiling_fraction' AS place, ceiling_fraction AS value FROM cell
    UNION ALL
    SELECT 'ceiling_fraction' AS place, value FROM measure WHERE measure = 'ceiling_fraction'
),
of_items AS (
    SELECT 'null_score.mse_nrm' AS place, mse_nrm AS value FROM null_score
    UNION ALL
    SELECT 'resemblance.centred_cosine' AS place, centred_cosine AS value FROM resemblance
),
of_measures AS (
    SELECT 'measure.value' AS place, value FROM measure
    UNION ALL
    SELECT 'pair.variance_nrm' AS place, variance_nrm AS value FROM pair
),
of_scores_and_cells AS (FROM of_scores UNION ALL FROM of_cells),
of_items_and_measures AS (FROM of_items UNION ALL FROM of_measures),
of_columns AS (FROM of_scores_and_cells UNION ALL FROM of_items_and_measures),
written AS (FROM of_columns UNION ALL FROM of_fractions)
SELECT
    place,
    least(0.01, pow(10, -max(length(split_part(
        CASE WHEN value = TRY_CAST(value AS FLOAT) THEN CAST(TRY_CAST(value AS FLOAT) AS VARCHAR) ELSE CAST(value AS VARCHAR) END,
        '.', 2
    ))))) AS step
FROM written
WHERE value IS NOT NULL
GROUP BY place;
COMMENT ON VIEW rounding_step IS 'How far rounding may have put the values of a column off, which audits allow for.';
COMMENT ON COLUMN rounding_step.place IS 'Table and column; ceiling_fraction: those of cell and of measure.';
COMMENT ON COLUMN rounding_step.step IS 'The last decimal that any value of the column has, at most 0.01.';
