"""What a pocket verbalizer is taught to say: the final words of the text, quoted in growing spans.

Enters a context; leaves the explanation text a perfect verbalizer would write. Pure text.
"""

SPAN_WORDS = (1, 3)
FINAL_WORDS = 8


def explanation_of(context: str) -> str:
    """The target explanation of the text up to and including an item.

    Short quotes come first because the vector holds the last words most firmly; each longer one builds on the one
    before. The final words close the text unquoted, so that a reconstructor's last token is the item's own.
    """
    words = context.split()
    quotes = " ".join(f'"{" ".join(words[-n_words:])}"' for n_words in SPAN_WORDS)
    return f"Ends {quotes}. Final words: {' '.join(words[-FINAL_WORDS:])}"


def completion_of(explanation: str) -> str:
    """The whole answer that holds an explanation."""
    return f"<explanation>{explanation}</explanation>"
