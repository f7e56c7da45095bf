"""Finds the signs of a text that went wrong: another script, loops, no text, leftover tags, special tokens and so on.

Takes explanations and the contexts of their items, returns `TextSign` rows. It tells what a text shows and whether the
context shows it too; it judges nothing: a Chinese context may well have a Chinese explanation.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from itertools import islice, takewhile

from nlareport.checkpoints.answers import judge_answer
from nlareport.checkpoints.prompts import CLOSING_TAG, OPENING_TAG
from nlareport.rows.item_rows import Explanation, Mark
from nlareport.rows.text_rows import Sign, TextSign
from nlareport.statistics.letter_scripts import CJK, LATIN, letter_script, script_shares

LEAST_OF_LETTERS = 0.2
"""Share of letters from which on a text counts as one in another script. An English text that quotes a foreign name
stays below; one that turns to Chinese halfway does not, because Chinese says as much in a third of the letters."""

NGRAM = 4
LEAST_REPEATED = 1 / 3
"""Share of a text's sequences of four words that stand earlier in it, from which on it loops: a phrase said twice stays
below, a text that says nothing else from its middle on does not. In text written by people it is below 0.01 (Welleck et
al. 2019, arXiv:1908.04319, who call it seq-rep-4)."""
LEAST_UNITS = 12
"""Words and marks of a text that can loop at all; `ha ha ha ha` is a laugh."""
LONGEST_WORD = 40
"""Letters of a word; a longer one is taken letter by letter, so that `hahaha…` without spaces is a loop too."""

_UNIT = re.compile(r"[^\W_]+|[^\w\s]|_")
_TAG = re.compile(r"[<‹〈⟨]\s{0,3}[/\\]?\s{0,3}(?:explanation|concept)\s{0,3}/?\s{0,3}[>›〉⟩]", re.IGNORECASE)
"""Of the answer, or of the prompt, where the released prompts put the vector between concept tags."""
_SPECIAL_TOKEN = re.compile(
    r"<[|｜][^<>|｜\s]{1,40}[|｜]?>|<[^<>|｜\s]{1,40}[|｜]>"  # <|im_end|>, with full-width bars, <|turn>, <turn|>
    r"|</?(?:start_of_turn|end_of_turn|start_of_image|end_of_image|bos|eos|pad|unk|mask|s)>|<(?:unused|extra_id_)[0-9]{1,4}>"
    r"|<<?/?SYS>>?|\[/?INST\]|\[(?:CLS|SEP|PAD|MASK|UNK)\]"
    r"|<0x[0-9A-Fa-f]{2}>|(?:[Ġ▁][^\sĠ▁]+){2}"  # pieces of a tokenizer that nobody put together
)
_THOUGHTS = "think|thinking|thought|reasoning|scratchpad"
_DRAFT = re.compile(rf"</?(?:seed:)?(?:{_THOUGHTS})>|\[/?THINK\]|◁/?think▷", re.IGNORECASE)
_EMPTY_DRAFT = re.compile(rf"<({_THOUGHTS})>\s*</\1>", re.IGNORECASE)
"""Templates write it so that there is no draft."""

_UNSEEN_LETTERS = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\ufffd"
"""Characters of other categories that show nothing, or stand for one that could not be decoded."""
_SEEN_FORMATS = "\u00ad\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that are drawn; the soft hyphen is where a line breaks."""
_JOINERS = "\u200c\u200d"

_WORD = re.compile(r"[^\W\d_]+")
_LAST_WORD = re.compile(r"([^\W\d_]+)\Z")
LEAST_MISSING = 2
"""Letters that a word is short of, for it to be cut: `Republican` is not the beginning of `Republicans`."""

SHOWN_BY_CONTEXTS: tuple[Sign, ...] = ("cjk", "other_script", "loop", "tag", "special_token", "draft", "unseen")
"""The signs that a context can show as well."""


def find_text_signs(explanations: Sequence[Explanation], contexts: Mapping[int, str]) -> list[TextSign]:
    """The signs of every explanation that has a text or an answer; `contexts` by item, where they are known."""
    # Each text once: a word that is cut in several draws alike is one all the same.
    vocabulary = _Vocabulary.of({row.text or row.completion or "" for row in explanations}, contexts.values())
    rows = []
    for row in explanations:
        written, context = written_text(row), contexts.get(row.item_id)
        if written is None:
            continue
        signs = {*_signs_of_form(row), *signs_in(written)}
        if row.completion is not None and has_draft(row.completion):
            signs.add("draft")
        if row.finish is None and row.text is not None and vocabulary.is_cut(row.text):
            signs.add("cut")
        shown = set(signs_in(context)) if signs and context is not None else set[Sign]()
        if context is not None and _other_script(context) != _other_script(written):
            shown.discard("other_script")
        for sign in sorted(signs):
            in_context = sign in shown if context is not None and sign in SHOWN_BY_CONTEXTS else None
            rows.append(TextSign(row.source, row.item_id, sign, in_context, row.draw))
    return rows


def written_text(explanation: Explanation) -> str | None:
    """The explanation or, where there is none, the answer without its tags; None when neither is known."""
    if explanation.text is not None:
        return explanation.text
    if explanation.completion is None:
        return None
    return explanation.completion.replace(OPENING_TAG, "", 1).replace(CLOSING_TAG, "", 1)


def signs_in(text: str) -> Iterator[Sign]:
    """What a text shows by itself."""
    shares = script_shares(text)
    if shares.get(CJK, 0.0) >= LEAST_OF_LETTERS:
        yield "cjk"
    if _other_script(text) is not None:
        yield "other_script"
    if is_loop(text):
        yield "loop"
    if _TAG.search(unescape(text)):
        yield "tag"
    if _SPECIAL_TOKEN.search(text):
        yield "special_token"
    if has_draft(text):
        yield "draft"
    if has_unseen(text):
        yield "unseen"


def is_loop(text: str) -> bool:
    """Whether at least a third of the sequences of four words or marks stood in the text before."""
    units = list(_units(text))
    if len(units) < LEAST_UNITS:
        return False
    grams = Counter(zip(*(units[shift:] for shift in range(NGRAM)), strict=False))
    return 1 - len(grams) / grams.total() >= LEAST_REPEATED


def has_draft(text: str) -> bool:
    """Whether a part for thoughts opens or closes in the text, other than an empty one."""
    return _DRAFT.search(_EMPTY_DRAFT.sub("", text)) is not None


def has_unseen(text: str) -> bool:
    """Whether a character takes no room, turns the direction of what follows, controls a device or was not decoded."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return False
    return any(_is_unseen(text, place) for place in range(len(text)))


def _signs_of_form(row: Explanation) -> Iterator[Sign]:
    """What is told by the answer as a whole."""
    mark: Mark | None = None
    if row.text is None and row.completion is not None:
        mark = judge_answer(row.completion, "length" if row.finish == "length" else "stop").mark
    written = written_text(row) or ""
    if mark == "empty" or not any(character.isprintable() and not character.isspace() for character in written):
        yield "empty"
    elif mark in ("no_tag", "misspelt_tag", "unopened_tag"):
        yield "tagless"
    if mark in ("budget", "unclosed_tag") or row.finish == "length":
        yield "cut"


def _other_script(text: str) -> str | None:
    """The script, neither Latin nor CJK, that most letters are of beside those; None below `LEAST_OF_LETTERS`."""
    others = {script: share for script, share in script_shares(text).items() if script not in (CJK, LATIN)}
    return max(others, key=lambda script: others[script]) if sum(others.values()) >= LEAST_OF_LETTERS else None


def _units(text: str) -> Iterator[str]:
    """Words in lower case and marks, one by one; letters of CJK, and of words too long to be any, each for itself."""
    for found in _UNIT.finditer(text):
        unit = found.group().casefold()
        if len(unit) > LONGEST_WORD or (not unit.isascii() and letter_script(unit[0]) == CJK):
            yield from unit
        else:
            yield unit


def _is_unseen(text: str, place: int) -> bool:
    character = text[place]
    if character in "\n\t\r" or character in _SEEN_FORMATS:
        return False
    if character in _JOINERS:
        # Between letters of other scripts, and between the parts of one emoji, they have work to do.
        around = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
        return len(around) < 2 or any(neighbour.isascii() for neighbour in around)
    return character in _UNSEEN_LETTERS or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


class _Vocabulary:
    """The words of a run, by which it can be told that the last word of a text is the beginning of one."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._words = sorted(counts)

    @classmethod
    def of(cls, texts: Iterable[str], contexts: Iterable[str]) -> "_Vocabulary":
        return cls(Counter(word for text in (*texts, *contexts) for word in _WORD.findall(text.casefold())))

    def is_cut(self, text: str) -> bool:
        """Whether a text ends in letters that stand nowhere else in the run but as the beginning of a longer word."""
        found = _LAST_WORD.search(text.casefold())
        if found is None or self._counts[found[1]] > 1:
            return False
        place = bisect_right(self._words, found[1])
        longer = takewhile(lambda word: word.startswith(found[1]), islice(self._words, place, None))
        return any(len(word) >= len(found[1]) + LEAST_MISSING for word in longer)
