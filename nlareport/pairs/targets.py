"""Writes the target explanations that a pocket verbalizer is trained on, from a text that breaks off at an item.

Takes a context and its true continuation, returns the explanation that a perfect verbalizer would write. Pure text.
"""

import math
import re
from collections import Counter
from collections.abc import Collection

_WORD = re.compile(r"[A-Za-z]{4,}")
_DIGIT = re.compile(r"\d")
_ABOUT = re.compile(r" about ([^.:\"]*)")
"""What a text says it is about: names separated by commas, up to the end of the sentence."""
_NAME = re.compile(r"[^,\s][^,]*")
TOPIC_WORDS = 3
TOPIC_REACH_WORDS = 80
"""Topics are drawn from so many words before the item: the vector knows the passage better than the article."""
FEWEST_DOCUMENTS = 20
"""Words that fewer articles hold are names nobody could learn to read from a vector."""
NEXT_WORDS = 2
SPAN_WORDS = (1, 3)
FINAL_WORDS = 8


class Topics:
    """Picks the words that say what a passage is about: the highest term frequency × inverse document frequency.

    The measure is Spärck Jones, "A statistical interpretation of term specificity", J. Documentation 28 (1972).
    """

    def __init__(self, articles: Collection[str]):
        self._n_articles = len(articles)
        self._document_frequency = Counter(word for article in articles for word in set(_words(article)))

    def of(self, context: str) -> list[str]:
        """At most three words of the passage before the item, the most telling first, as the passage spells them."""
        passage = " ".join(context.split()[-TOPIC_REACH_WORDS:])
        spelling = {found.lower(): found for found in _WORD.findall(passage)}
        counts = Counter(_words(passage))
        known = [word for word in counts if self._document_frequency[word] >= FEWEST_DOCUMENTS]
        weight = {word: counts[word] * math.log(self._n_articles / self._document_frequency[word]) for word in known}
        # Ties go to the alphabet: the same passage always has the same topics.
        best = sorted(known, key=lambda word: (-weight[word], word))[:TOPIC_WORDS]
        return [spelling[word] for word in best]


def final_words(context: str) -> str:
    """The first lesson: the last words of the text in growing spans, nothing else.

    Short quotes come first because the vector holds the last words most firmly; each longer one builds on the one
    before. The final words end the text unquoted: the last token that a reconstructor reads is then the item's own.
    """
    return f"Ends {_spans(context, ' ')}. Final words: {_last(context, FINAL_WORDS)}"


def explanation_of(context: str, continuation: str, topics: Topics) -> str:
    """The whole explanation of a text that ends in an item: what it is about, what comes next, how it ends."""
    about = ", ".join(topics.of(context)) or "various matters"
    following = _unquoted(" ".join(continuation.split()[:NEXT_WORDS]))
    return (
        f'{_kind(context)} about {about}. Likely next: "{following}". '
        f"Ends on {_spans(context, ', in ')}, after: {_last(context, FINAL_WORDS)}"
    )


def topics_named(text: str) -> list[tuple[int, str]]:
    """The topics an explanation, or an answer that holds one, names: where each name begins, and the name."""
    return [
        (found.start(1) + name.start(), name.group().strip())
        for found in _ABOUT.finditer(text)
        for name in _NAME.finditer(found.group(1))
    ]


def names_a_topic_twice(text: str) -> bool:
    """Whether an explanation names a topic twice."""
    names = [name.lower() for _, name in topics_named(text)]
    return len(set(names)) < len(names)


def completion_of(explanation: str) -> str:
    """The whole answer that holds an explanation."""
    return f"<explanation>{explanation}</explanation>"


def _kind(context: str) -> str:
    if context.count('"') % 2:
        return "Quoted speech"
    return "Facts and figures" if _DIGIT.search(_last(context, FINAL_WORDS)) else "News report"


def _spans(context: str, joint: str) -> str:
    return joint.join(f'"{_unquoted(_last(context, n_words))}"' for n_words in SPAN_WORDS)


def _last(context: str, n_words: int) -> str:
    return " ".join(context.split()[-n_words:])


def _unquoted(text: str) -> str:
    """Quotation marks inside a quoted span would end it."""
    return text.replace('"', "'")


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
