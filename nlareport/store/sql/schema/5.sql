-- What decides the answers of a checkpoint, and the texts of the documents, as digests.
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

CREATE TABLE document_digest (
    doc_id VARCHAR PRIMARY KEY,
    text_sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE document_digest IS 'The texts of the documents that were looked at, as digests: a changed corpus is told by them.';
COMMENT ON COLUMN document_digest.doc_id IS 'Document.';
COMMENT ON COLUMN document_digest.text_sha256 IS 'SHA-256 of its whole text in UTF-8, in hex.';
