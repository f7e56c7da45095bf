-- Version 6 as it was in the first files of that version: answers could bear one mark fewer, and no view judged them.
CREATE TABLE choice (
    pair_id VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('base_model', 'verbalizer', 'reconstructor')),
    topic VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    PRIMARY KEY (pair_id, role, topic)
);

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

CREATE TABLE answer_mark (
    source VARCHAR NOT NULL,
    item_id BIGINT NOT NULL,
    mark VARCHAR NOT NULL CHECK (
        mark IN ('no_tag', 'misspelt_tag', 'unopened_tag', 'budget', 'empty', 'overrun')
    ),
    PRIMARY KEY (source, mark, item_id)
);
