-- Results and checkpoints made elsewhere.

-- How scores were defined where they come from.
CREATE TABLE given_score (
    item_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    definition VARCHAR NOT NULL,
    value DOUBLE NOT NULL CHECK (isfinite(value)),
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, target, draw, definition, item_id)
);
COMMENT ON TABLE given_score IS 'Scores as they came from elsewhere, where they were something else than mse_nrm or fve_nrm.';
COMMENT ON COLUMN given_score.item_id IS 'Item.';
COMMENT ON COLUMN given_score.source IS 'Pair whose verbalizer wrote the text.';
COMMENT ON COLUMN given_score.target IS 'Pair whose reconstructor read it and whose activation is the gold.';
COMMENT ON COLUMN given_score.definition IS 'What the value is: cosine, centred_cosine, fve_meannorm, half_one_plus_cosine, mse_per_dimension or raw_mse. Where it gives mse_nrm, that is in score.';
COMMENT ON COLUMN given_score.value IS 'The value as it came.';
COMMENT ON COLUMN given_score.draw IS 'Which of the explanations drawn for the item it is, from 0.';

-- Sources that only write, targets that only read.
-- A source of texts has no model, so the columns that name one may be empty.
ALTER TABLE pair ALTER COLUMN base_model DROP NOT NULL;
ALTER TABLE pair ALTER COLUMN block_index DROP NOT NULL;
ALTER TABLE pair ALTER COLUMN d_model DROP NOT NULL;
ALTER TABLE pair ADD COLUMN writes BOOLEAN DEFAULT true;
ALTER TABLE pair ALTER COLUMN writes SET NOT NULL;
ALTER TABLE pair ADD COLUMN reads BOOLEAN DEFAULT true;
ALTER TABLE pair ALTER COLUMN reads SET NOT NULL;
COMMENT ON TABLE pair IS 'One row per NLA pair, half of a pair, or source of texts.';
COMMENT ON COLUMN pair.base_model IS 'Model the pair was trained on; NULL for a source of texts, which no model wrote from an activation.';
COMMENT ON COLUMN pair.block_index IS 'Zero-based decoder block K whose output is read: hidden_states[K+1]; NULL without a base model.';
COMMENT ON COLUMN pair.d_model IS 'Width of the hidden vector; NULL without a base model.';
COMMENT ON COLUMN pair.writes IS 'Whether it is a source: it has a verbalizer, or texts.';
COMMENT ON COLUMN pair.reads IS 'Whether it is a target: it has a reconstructor.';

-- A file of texts has a digest too.
ALTER TABLE making RENAME TO making_of_checkpoints;
CREATE TABLE making (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('base_model', 'verbalizer', 'reconstructor')),
    kind VARCHAR NOT NULL CHECK (
        kind IN ('weights', 'config', 'tokenizer', 'chat_template', 'prompt', 'sidecar', 'stop_ids', 'script', 'texts')
    ),
    digest VARCHAR NOT NULL,
    PRIMARY KEY (pair_id, role, kind)
);
INSERT INTO making BY NAME FROM making_of_checkpoints;
DROP TABLE making_of_checkpoints;
COMMENT ON TABLE making IS 'What decides the answers of every checkpoint, as digests taken before its first batch; a run goes on with the same alone.';
COMMENT ON COLUMN making.pair_id IS 'Pair.';
COMMENT ON COLUMN making.role IS 'Which of its checkpoints: base_model, verbalizer or reconstructor.';
COMMENT ON COLUMN making.kind IS 'weights: all *.safetensors; config, tokenizer, chat_template, sidecar: what those files say; prompt: its token ids as sent; stop_ids: where answers end; script: a pair without checkpoints; texts: the file of a source of texts.';
COMMENT ON COLUMN making.digest IS 'SHA-256 in hex.';

-- The cells there are, and how source and target stand to each other. A row or a column without any cell is left out
-- once the run has cells, unless its texts are there.
CREATE VIEW cell_kind AS
WITH
source AS (
    SELECT * FROM pair
    WHERE writes AND (
        NOT EXISTS (FROM cell)
        OR pair_id IN (SELECT source FROM cell)
        OR pair_id IN (SELECT source FROM explanation)
    )
),
target AS (
    SELECT * FROM pair
    WHERE reads AND (NOT EXISTS (FROM cell) OR pair_id IN (SELECT target FROM cell))
),
related AS (
    SELECT
        s.pair_id AS source,
        t.pair_id AS target,
        CASE
            WHEN s.pair_id = t.pair_id THEN 'same-model'
            WHEN s.base_model IS NULL THEN 'text'
            WHEN s.base_model = t.base_model AND s.block_index = t.block_index THEN 'cross-version'
            WHEN s.family = t.family THEN 'same-family'
            ELSE 'cross-family'
        END AS relation
    FROM source AS s
    CROSS JOIN target AS t
)
SELECT source, target, relation, relation IN ('same-family', 'cross-family') AS is_cross_model
FROM related;
COMMENT ON VIEW cell_kind IS 'The cells of the matrix, and how source and target of each stand to each other.';
COMMENT ON COLUMN cell_kind.source IS 'Pair whose verbalizer wrote the texts, or a source of texts.';
COMMENT ON COLUMN cell_kind.target IS 'Pair whose reconstructor reads them.';
COMMENT ON COLUMN cell_kind.relation IS 'same-model: one pair; cross-version: two pairs at one block of one base model; same-family: other models, or other blocks of one, of one family; cross-family: of two families; text: the source has no model.';
COMMENT ON COLUMN cell_kind.is_cross_model IS 'same-family or cross-family: source and target have different vector spaces.';

CREATE OR REPLACE VIEW additive_fit AS
WITH crossing AS (
    SELECT c.source, c.target, c.fve_nrm
    FROM cell AS c
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.fve_nrm IS NOT NULL
)
SELECT
    p.pair_id,
    (SELECT avg(fve_nrm) FROM crossing WHERE source = p.pair_id) AS mean_as_source,
    (SELECT avg(fve_nrm) FROM crossing WHERE target = p.pair_id) AS mean_as_target,
    s.effect AS source_effect,
    t.effect AS target_effect
FROM pair AS p
LEFT JOIN effect AS s ON s.pair_id = p.pair_id AND s.role = 'source'
LEFT JOIN effect AS t ON t.pair_id = p.pair_id AND t.role = 'target';
COMMENT ON VIEW additive_fit IS 'How good each pair writes and reads, two ways: one row per pair, from cell and effect.';
COMMENT ON COLUMN additive_fit.pair_id IS 'Pair.';
COMMENT ON COLUMN additive_fit.mean_as_source IS 'Mean fve_nrm of its cross-model cells as source; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.mean_as_target IS 'Mean fve_nrm of its cross-model cells as target; NULL without such a cell.';
COMMENT ON COLUMN additive_fit.source_effect IS 'How far it lifts its cells as source; NULL where the cross-model cells are too few to tell the effects apart.';
COMMENT ON COLUMN additive_fit.target_effect IS 'How far it lifts its cells as target; NULL where the cross-model cells are too few to tell the effects apart.';

-- Draws: spread, best of k, agreement of texts.
CREATE TABLE draw_spread (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    n_items BIGINT NOT NULL CHECK (n_items >= 0),
    n_scores BIGINT NOT NULL CHECK (n_scores >= 0),
    sd_within DOUBLE NOT NULL CHECK (isfinite(sd_within)),
    within_low DOUBLE CHECK (isfinite(within_low)),
    within_high DOUBLE CHECK (isfinite(within_high)),
    sd_between DOUBLE CHECK (isfinite(sd_between)),
    between_low DOUBLE CHECK (isfinite(between_low)),
    between_high DOUBLE CHECK (isfinite(between_high)),
    share_within DOUBLE CHECK (isfinite(share_within)),
    PRIMARY KEY (source, target)
);
COMMENT ON TABLE draw_spread IS 'How far a cell''s scores differ between the draws of an item, and between items; empty where no item has a second draw.';
COMMENT ON COLUMN draw_spread.source IS 'Pair whose verbalizer wrote the texts.';
COMMENT ON COLUMN draw_spread.target IS 'Pair whose reconstructor read them.';
COMMENT ON COLUMN draw_spread.n_items IS 'Items with at least one scored draw.';
COMMENT ON COLUMN draw_spread.n_scores IS 'Scored draws of all of them.';
COMMENT ON COLUMN draw_spread.sd_within IS 'Standard deviation over the draws of one item, in fve_nrm: root of the mean square within items of a one-way analysis of variance.';
COMMENT ON COLUMN draw_spread.within_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN draw_spread.within_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN draw_spread.sd_between IS 'Standard deviation between items, in fve_nrm, without what draws add: root of the variance component of items in the same analysis, 0 where that is below 0; NULL with one item.';
COMMENT ON COLUMN draw_spread.between_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN draw_spread.between_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN draw_spread.share_within IS 'The draws'' part of the variance of a single score: sd_within squared over the sum of both squares.';

CREATE TABLE best_of_draws (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    k INTEGER NOT NULL CHECK (k > 0),
    n_items BIGINT NOT NULL CHECK (n_items >= 0),
    fve_nrm DOUBLE NOT NULL CHECK (isfinite(fve_nrm)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    PRIMARY KEY (source, target, k)
);
COMMENT ON TABLE best_of_draws IS 'What a cell scores when of k draws of every item the best is kept; empty where no item has a second draw.';
COMMENT ON COLUMN best_of_draws.source IS 'Pair whose verbalizer wrote the texts.';
COMMENT ON COLUMN best_of_draws.target IS 'Pair whose reconstructor read them, and by whose scores the best is chosen.';
COMMENT ON COLUMN best_of_draws.k IS 'Draws of an item that the best is chosen from.';
COMMENT ON COLUMN best_of_draws.n_items IS 'Items with at least k draws, one of which is scored.';
COMMENT ON COLUMN best_of_draws.fve_nrm IS 'Mean over items of the expected best score of k of their draws, chosen at random without putting back; an unscored draw is never the best.';
COMMENT ON COLUMN best_of_draws.ci_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN best_of_draws.ci_high IS 'Upper end of the same interval.';

CREATE TABLE text_agreement (
    source VARCHAR PRIMARY KEY,
    n_items BIGINT NOT NULL CHECK (n_items >= 0),
    jaccard DOUBLE NOT NULL CHECK (isfinite(jaccard)),
    ci_low DOUBLE CHECK (isfinite(ci_low)),
    ci_high DOUBLE CHECK (isfinite(ci_high)),
    chance DOUBLE CHECK (isfinite(chance))
);
COMMENT ON TABLE text_agreement IS 'How alike the draws of an item are as texts; empty where no item has a second draw.';
COMMENT ON COLUMN text_agreement.source IS 'Pair whose verbalizer wrote them.';
COMMENT ON COLUMN text_agreement.n_items IS 'Items with at least two draws that hold a content word.';
COMMENT ON COLUMN text_agreement.jaccard IS 'Mean over items of the mean Jaccard index of all pairs of their draws, as sets of content words: shared words over all words of the two, 0 to 1.';
COMMENT ON COLUMN text_agreement.ci_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN text_agreement.ci_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN text_agreement.chance IS 'The same between draws of items of different documents, by a seeded exchange of items; NULL when one document holds more than half of the items.';

-- Tags: differences between their values.

CREATE TABLE tag_difference (
    source VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    value VARCHAR NOT NULL,
    other_value VARCHAR NOT NULL,
    n_documents BIGINT NOT NULL CHECK (n_documents >= 0),
    is_paired BOOLEAN NOT NULL,
    difference DOUBLE NOT NULL CHECK (isfinite(difference)),
    ci_low DOUBLE CHECK (ci_low IS NULL OR isfinite(ci_low)),
    ci_high DOUBLE CHECK (ci_high IS NULL OR isfinite(ci_high)),
    PRIMARY KEY (source, target, name, value, other_value)
);
COMMENT ON TABLE tag_difference IS 'How much better each cell does on items with one value of a tag than on items with another: one row per cell, tag and two values.';
COMMENT ON COLUMN tag_difference.source IS 'Pair that wrote the explanations.';
COMMENT ON COLUMN tag_difference.target IS 'Pair that read them.';
COMMENT ON COLUMN tag_difference.name IS 'Name of the tag.';
COMMENT ON COLUMN tag_difference.value IS 'Value of the items that the difference speaks of.';
COMMENT ON COLUMN tag_difference.other_value IS 'Value of the items they are compared with.';
COMMENT ON COLUMN tag_difference.n_documents IS 'Documents with scored items of both values where the difference is paired; with items of either, where it is not.';
COMMENT ON COLUMN tag_difference.is_paired IS 'Whether it is the mean over documents of the difference within each document, taken where at least half of the documents with the rarer value hold both; else it is the difference of the two subsets'' cells.';
COMMENT ON COLUMN tag_difference.difference IS 'fve_nrm of the items with value minus fve_nrm of those with other_value.';
COMMENT ON COLUMN tag_difference.ci_low IS 'Lower end of the 95% percentile bootstrap over documents, both values drawn together; NULL where one of them comes from fewer than two documents.';
COMMENT ON COLUMN tag_difference.ci_high IS 'Upper end of the same interval.';

COMMENT ON COLUMN cell.subset IS 'all, without_outliers, a kind of token (digits, punctuation, prose), a graded subset of the target (context_1 to context_4, norm_1 and so on, described in subset_range), or a tag and its value, such as language=en.';
COMMENT ON COLUMN tag.name IS 'Name of the tag, such as language; it holds no equals sign.';

CREATE VIEW item_tag AS
SELECT item_id, name, value, name || '=' || value AS subset FROM tag
UNION ALL
SELECT item_id, 'stratum', stratum, stratum FROM item;
COMMENT ON VIEW item_tag IS 'What is said of items by name, the kind of their token included: one row per item and tag, from tag and item.';
COMMENT ON COLUMN item_tag.item_id IS 'Item.';
COMMENT ON COLUMN item_tag.name IS 'Name of the tag; stratum is the kind of the item''s token, which every item has.';
COMMENT ON COLUMN item_tag.value IS 'What it says of the item.';
COMMENT ON COLUMN item_tag.subset IS 'The subset that cells over the items with this value have.';

-- Signs of sick text, and words of the context.
CREATE TABLE text_sign (
    source VARCHAR NOT NULL,
    item_id BIGINT NOT NULL,
    sign VARCHAR NOT NULL CHECK (
        sign IN ('cjk', 'other_script', 'loop', 'empty', 'tagless', 'cut', 'tag', 'special_token', 'draft', 'unseen')
    ),
    in_context BOOLEAN,
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, draw, sign, item_id)
);
COMMENT ON TABLE text_sign IS 'Signs that an explanation went wrong; one without a row shows none.';
COMMENT ON COLUMN text_sign.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN text_sign.item_id IS 'Item.';
COMMENT ON COLUMN text_sign.sign IS 'cjk: a fifth of the letters or more are Chinese, Japanese or Korean; other_script: so many are of a script that is neither these nor Latin; loop: a third of its sequences of four words or more stood in it before; empty: no visible character; tagless: the answer has no opening tag; cut: broken off by the token budget, without its closing tag, or within a word; tag: a tag of answer or prompt inside; special_token: a special token, or pieces of a tokenizer; draft: thoughts in or before it; unseen: a character that takes no room, turns the direction of others or was not decoded.';
COMMENT ON COLUMN text_sign.in_context IS 'Whether the item''s context shows the same sign, for another script the same script; NULL without a context, and for empty, tagless and cut.';
COMMENT ON COLUMN text_sign.draw IS 'Which of the explanations drawn for the item it is, from 0.';

CREATE TABLE context_overlap (
    source VARCHAR NOT NULL,
    item_id BIGINT NOT NULL,
    n_words INTEGER NOT NULL CHECK (n_words > 0),
    n_found INTEGER NOT NULL CHECK (n_found >= 0),
    n_found_elsewhere INTEGER CHECK (n_found_elsewhere >= 0),
    other_item_id BIGINT,
    draw INTEGER NOT NULL DEFAULT 0 CHECK (draw >= 0),
    PRIMARY KEY (source, draw, item_id)
);
COMMENT ON TABLE context_overlap IS 'How many content words of an explanation stand in the item''s context, and in the context of another document.';
COMMENT ON COLUMN context_overlap.source IS 'Pair whose verbalizer wrote it.';
COMMENT ON COLUMN context_overlap.item_id IS 'Item.';
COMMENT ON COLUMN context_overlap.n_words IS 'Different content words of the explanation: without English function words; CJK in pairs of letters.';
COMMENT ON COLUMN context_overlap.n_found IS 'Those that the item''s context holds, as far as the run has it, in singular or plural.';
COMMENT ON COLUMN context_overlap.n_found_elsewhere IS 'Those that the context of other_item_id holds; NULL when one document holds more than half of the items.';
COMMENT ON COLUMN context_overlap.other_item_id IS 'An item of another document, drawn by a seeded exchange of all items.';
COMMENT ON COLUMN context_overlap.draw IS 'Which of the explanations drawn for the item it is, from 0.';

CREATE TABLE text_summary (
    source VARCHAR PRIMARY KEY,
    n_texts BIGINT NOT NULL CHECK (n_texts >= 0),
    n_compared BIGINT NOT NULL CHECK (n_compared >= 0),
    share_found DOUBLE CHECK (isfinite(share_found)),
    found_low DOUBLE CHECK (isfinite(found_low)),
    found_high DOUBLE CHECK (isfinite(found_high)),
    share_elsewhere DOUBLE CHECK (isfinite(share_elsewhere)),
    elsewhere_low DOUBLE CHECK (isfinite(elsewhere_low)),
    elsewhere_high DOUBLE CHECK (isfinite(elsewhere_high)),
    excess_low DOUBLE CHECK (isfinite(excess_low)),
    excess_high DOUBLE CHECK (isfinite(excess_high))
);
COMMENT ON TABLE text_summary IS 'What a source''s explanations are like as texts; without a row they were not looked at.';
COMMENT ON COLUMN text_summary.source IS 'Pair whose verbalizer wrote them.';
COMMENT ON COLUMN text_summary.n_texts IS 'Explanations that were looked at for signs, of every draw; where there is none, the answer.';
COMMENT ON COLUMN text_summary.n_compared IS 'Those whose content words were compared with contexts.';
COMMENT ON COLUMN text_summary.share_found IS 'Mean share of an explanation''s content words that stand in its item''s context.';
COMMENT ON COLUMN text_summary.found_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN text_summary.found_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN text_summary.share_elsewhere IS 'The same for the context of another document: chance.';
COMMENT ON COLUMN text_summary.elsewhere_low IS 'Lower end of its 95% percentile bootstrap over documents.';
COMMENT ON COLUMN text_summary.elsewhere_high IS 'Upper end of the same interval.';
COMMENT ON COLUMN text_summary.excess_low IS 'Lower end of the 95% interval of share_found minus share_elsewhere, draw by draw.';
COMMENT ON COLUMN text_summary.excess_high IS 'Upper end of the same interval.';

-- Chosen positions and given vectors.
