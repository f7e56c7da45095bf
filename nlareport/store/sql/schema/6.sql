-- Choices, self-tests, and what is odd about an answer.
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

-- How each answer was judged: of one without a row of its own in answer_mark, in an older run or
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
