"""Splits texts into words, and content words from function words; Chinese and its like, which have no spaces, in pairs.

Takes a text, returns words with their places. A word counts as found in another text in upper or lower case, in
singular or plural.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from nlareport.statistics.letter_scripts import CJK, letter_script

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_TAG = re.compile(r"<[^<>\s]{1,40}>")
_APOSTROPHE = "’"

_BY_CLASS = {
    "articles and demonstratives": "a an the this that these those",
    "pronouns": """i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
        she her hers herself it its itself they them their theirs themselves one ones oneself who whom whose which what
        whoever whatever whichever someone something anyone anything everyone everything nobody nothing none each other
        another""",
    "quantifiers": """all any both either neither every few fewer many more most much less least several some such own
        same enough""",
    "prepositions": """about above across after against along amid among around as at before behind below beneath beside
        besides between beyond but by despite down during except for from in inside into like near of off on onto out
        outside over past per since than through throughout till to toward towards under underneath until unto up upon
        via with within without""",
    "conjunctions": """and or nor so yet if then else because although though unless while whereas whether when whenever
        where wherever why how""",
    "auxiliaries": """am is are was were be been being do does did doing done have has had having can could may might
        must shall should will would ought""",
    "adverbs": """not no yes too very also just only even still again ever never here there now once already almost
        quite rather however thus hence therefore""",
}
FUNCTION_WORDS = frozenset(word for words in _BY_CLASS.values() for word in words.split())
"""English words of grammar, written out class by class; of adverbs the commonest. In other languages only single
letters are left out, so that more words stand in any context, and more by chance."""

_NO_PLURALS = {"news"}

SHORTEST = 2
"""Characters of a content word, so that single letters and digits are none; AI and UK are."""


class Word(NamedTuple):
    """A word of a text."""

    key: str
    """What it is compared by."""
    start: int
    end: int


def words_in(text: str) -> Iterator[Word]:
    """The words of a text in order. A run of CJK letters is cut into overlapping pairs, as searching in them does."""
    for found in _WORD.finditer(text):
        yield from _words_of_run(found.group(), found.start())


def content_words(text: str) -> list[Word]:
    """The words of a text that are neither function words, single characters nor tags such as ``<|im_end|>``."""
    untagged = _TAG.sub(lambda found: " " * len(found.group()), text)
    return [word for word in words_in(untagged) if len(word.key) >= SHORTEST and word.key not in FUNCTION_WORDS]


def words_found(text: str, context: str) -> list[Word]:
    """The content words of a text that a context holds, in order."""
    known = {word.key for word in content_words(context)}
    return [word for word in content_words(text) if word.key in known]


def _words_of_run(run: str, start: int) -> Iterator[Word]:
    if run.isascii():
        yield Word(_key(run), start, start + len(run))
        return
    # Where the script changes to or from CJK: "GPT模型" is a word and a pair.
    place = 0
    while place < len(run):
        is_cjk = letter_script(run[place]) == CJK
        end = place + 1
        while end < len(run) and (letter_script(run[end]) == CJK) == is_cjk:
            end += 1
        if is_cjk:
            pairs = range(place, max(end - 1, place + 1))
            yield from (Word(run[at : at + 2], start + at, start + min(at + 2, end)) for at in pairs)
        elif part := run[place:end].strip("'’-"):
            at = run.index(part, place)
            yield Word(_key(part), start + at, start + at + len(part))
        place = end


def _key(word: str) -> str:
    """The word in lower case and singular: by Harman's S stemmer (1991), which takes off plural endings alone."""
    folded = unicodedata.normalize("NFKC", word).casefold().replace(_APOSTROPHE, "'")
    folded = folded.removesuffix("'s").removesuffix("'")
    if folded in FUNCTION_WORDS or folded in _NO_PLURALS or len(folded) <= 3:
        return folded
    if folded.endswith("ies") and not folded.endswith(("eies", "aies")):
        return f"{folded[:-3]}y"
    if folded.endswith("es") and not folded.endswith(("aes", "ees", "oes")):
        return folded[:-1]
    if folded.endswith("s") and not folded.endswith(("us", "ss")):
        return folded[:-1]
    return folded
