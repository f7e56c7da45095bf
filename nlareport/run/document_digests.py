"""The digest of a document, be it a text, a chat or given vectors, by which a run file knows it again."""

import hashlib
import json

from nlareport.batches import SourceDocument
from nlareport.rows.run_rows import DocumentDigest


def text_digest(document: SourceDocument) -> DocumentDigest:
    """The digest of a document's text that a run file keeps; of a chat or of listed positions, of those too."""
    said = document.text
    if document.messages or document.listed:
        # Two chats may be shown as the same text.
        messages = [(message.role, message.content) for message in document.messages]
        said = json.dumps([document.text, messages, document.listed])
    # A lone surrogate, which JSON can spell, has no UTF-8 of its own.
    text = said.encode("utf-8", errors="surrogatepass")
    return DocumentDigest(document.doc_id, hashlib.sha256(text).hexdigest())
