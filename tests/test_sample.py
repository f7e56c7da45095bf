import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.batches import ReadingLimits, SourceDocument, Tokenization
from nlareport.errors import NothingToAlign
from nlareport.experiment.corpus_section import Sampling
from nlareport.rows.item_rows import Item
from nlareport.rows.run_rows import Document
from nlareport.run.item_places import place, why_unreadable
from nlareport.run.skipped_documents import n_unreadable, skipped_counts
from nlareport.stages.sample import (
    CANNOT_READ,
    align,
    drawn_prefixes,
    sample_document,
    sample_positions,
)

SPECIAL = 1


class PatternTokenizer:
    """One token per match of a pattern, after a BOS; a pattern without leading spaces trims offsets."""

    special_ids = frozenset({SPECIAL})

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        spans = [(0, 0), *(match.span() for match in re.finditer(self.pattern, text))][:max_tokens]
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        return Tokenization([SPECIAL, *range(100, 99 + len(spans))], starts, ends)


def ids(n_tokens: int, special_at: tuple[int, ...]) -> list[int]:
    return [SPECIAL if index in special_at else 100 + index for index in range(n_tokens)]


@pytest.mark.parametrize(
    ("seed", "doc_id", "n_tokens", "special_at", "k", "positions"),
    [
        (42, "openbmb/Ultra-FineWeb:en:0", 300, (), 10, [151, 167, 293, 272, 152, 194, 65, 109, 267, 144]),
        (1018, "openbmb/Ultra-FineWeb:en:100200", 2048, (0,), 1, [921]),
        (42, "HuggingFaceFW/fineweb:train:7", 54, (0, 51, 52), 10, [53, 50]),
    ],
)
def test_positions_are_the_protocols_worked_vectors(seed, doc_id, n_tokens, special_at, k, positions):
    assert sample_positions(ids(n_tokens, special_at), k, {SPECIAL}, doc_id, seed) == positions


@given(st.lists(st.integers(0, 4), max_size=120), st.integers(1, 5), st.integers())
def test_positions_are_distinct_have_50_tokens_before_them_and_are_not_special(token_ids, k, seed):
    positions = sample_positions(token_ids, k, {SPECIAL}, "corpus:split:0", seed)
    candidates = [index for index in range(50, len(token_ids)) if token_ids[index] != SPECIAL]
    assert len(set(positions)) == len(positions) == min(k, len(candidates))
    assert set(positions) <= set(candidates)


def document_of(text: str) -> SourceDocument:
    return SourceDocument(doc_id="corpus:split:7", corpus="corpus", source_index=7, text=text)


def sampling(**changes: object) -> Sampling:
    return Sampling.model_validate({"seed": 1, "n_items": 2, "reference_pair": "a", **changes})


WORDS = " ".join(f"word{index}" for index in range(300))


@pytest.mark.parametrize("pattern", [r"\s*\S+", r"\S+"], ids=["offsets with spaces", "trimmed offsets"])
def test_an_items_token_keeps_its_leading_space_however_offsets_are_cut(pattern):
    row, items = sample_document(document_of(WORDS), PatternTokenizer(pattern), sampling(positions_per_document=3), 10)
    assert row.skipped_reason is None
    assert row.n_chars == len(WORDS)
    assert [item.item_id for item in items] == [10, 11, 12]
    for item in items:
        assert re.fullmatch(r" word\d+", item.token)
        assert item.stratum == "digits"
        assert WORDS[: item.char_end].endswith(item.context)
        assert item.context.endswith(item.token)


def test_a_context_is_at_most_400_characters_and_starts_at_a_word():
    _, items = sample_document(document_of(WORDS), PatternTokenizer(r"\s*\S+"), sampling(positions_per_document=9), 0)
    for item in items:
        assert item.char_end is not None
        assert item.context is not None
        assert 320 <= len(item.context) <= 400 or item.char_end < 400
        assert item.context.startswith("word")


def test_a_document_keeps_where_it_came_from():
    document = SourceDocument(doc_id="corpus:split:7", corpus="corpus", source_index=7, text=WORDS)
    row, items = sample_document(document, PatternTokenizer(r"\s*\S+"), sampling(), 0)
    assert row == Document("corpus:split:7", "corpus", 7, len(WORDS), None)
    assert [item.doc_id for item in items] == ["corpus:split:7"]


def contexts(text: str, pattern: str = r"\s*\S+") -> list[tuple[int, str]]:
    """(char_end, context) of every token of a text that can be an item."""
    settings = sampling(positions_per_document=10_000)
    _, items = sample_document(document_of(text), PatternTokenizer(pattern), settings, 0)
    return sorted((item.char_end, item.context) for item in items)


def test_a_context_of_less_than_400_characters_starts_with_the_text():
    text = "a bc def " * 60
    assert [context for end, context in contexts(text) if end <= 400] == [
        text[:end] for end, _ in contexts(text) if end <= 400
    ]


def test_a_context_starts_at_the_first_word_that_is_whole():
    text = "a bc def " * 120
    longer = [(end, context) for end, context in contexts(text) if end > 400]
    assert longer[0][0] == 404
    for end, context in longer:
        cut = text[end - 400 : end]
        assert context == (cut if text[end - 401].isspace() else re.sub(r"^\S*\s+", "", cut, count=1))
    # Cut behind a space, before one, and within words.
    assert {400 - len(context) for _, context in longer} == {0, 1, 3}


def test_the_word_that_a_text_starts_with_is_whole_only_while_the_context_reaches_it():
    text = "ab " + "c" * 4 + " d" * 300
    found = dict(contexts(text))
    assert found[399] == text[:399]
    assert found[401] == text[3:401]
    assert found[403] == text[3:403]
    assert found[405] == text[8:405]


@pytest.mark.parametrize(("length", "lost"), [(0, 1), (1, 2), (78, 79), (79, 80), (80, 0), (150, 0)])
def test_a_context_loses_at_most_80_characters_to_start_at_a_word(length, lost):
    # The cut falls behind the first w of a word that goes on for `length` characters.
    text = "a " * 50 + "w" + "w" * length + " x "
    text += "b" * (501 - len(text)) + " c"
    assert dict(contexts(text))[501] == text[101 + lost : 501]


@pytest.mark.parametrize("length", [398, 399, 400, 1000])
def test_the_token_itself_is_never_cut_from_its_context(length):
    text = "aaaa " * 60 + "aaaa " + "b" * length
    assert contexts(text)[-1] == (len(text), text[-max(400, length + 1) :])


def test_a_context_without_spaces_keeps_its_400_characters():
    text = "字" * 900
    _, (item,) = sample_document(document_of(text), PatternTokenizer(r".{9}"), sampling(), 0)
    assert item.context == "字" * min(400, item.char_end or 0)


def test_truncation_bounds_what_can_be_drawn():
    tokenizer = PatternTokenizer(r"\s*\S+")
    settings = sampling(truncation_tokens=52, positions_per_document=9)
    _, items = sample_document(document_of(WORDS), tokenizer, settings, 0)
    assert sorted(item.token for item in items) == [" word49", " word50"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "too short: 1 tokens"), ("a " * 49, "too short: 50 tokens, an item needs 50 before it")],
)
def test_a_document_without_a_candidate_is_skipped_with_a_reason(text, reason):
    row, items = sample_document(document_of(text), PatternTokenizer(r"\s*\S+"), sampling(), 0)
    assert items == []
    assert row.skipped_reason is not None
    assert row.skipped_reason.startswith(reason)


class OnlySpecial(PatternTokenizer):
    special_ids = frozenset(range(1000))


def test_a_long_document_of_special_tokens_is_skipped_with_another_reason():
    row, items = sample_document(document_of(WORDS), OnlySpecial(r"\s*\S+"), sampling(), 0)
    assert items == []
    assert row.skipped_reason == "no token of text after the first 50 tokens"


def test_documents_that_gave_no_item_are_counted_by_reason():
    too_short, bare = (
        sample_document(document_of(text), tokenizer, sampling(), 0)[0]
        for text, tokenizer in [("a", PatternTokenizer(r"\S+")), (WORDS, OnlySpecial(r"\S+"))]
    )
    used, _ = sample_document(document_of(WORDS), PatternTokenizer(r"\S+"), sampling(), 0)
    of_short = "documents have fewer than 51 tokens (an item needs 50 before it)"
    of_bare = "documents have no token of text after the first 50"
    assert skipped_counts([used, used]) == ""
    assert skipped_counts([too_short, used]) == f"1 of 2 {of_short}"
    assert skipped_counts([bare, too_short, used, bare]) == f"1 of 4 {of_short} and 2 of 4 {of_bare}"
    unread = replace(used, skipped_reason=f"the reconstructor of a {CANNOT_READ}: it is longer than 9 tokens")
    of_unread = "documents cannot be read by every pair as far as their item"
    assert n_unreadable([used, unread, bare, unread, too_short]) == 2
    assert skipped_counts([unread, used, unread, bare, too_short]) == (
        f"1 of 5 {of_short} and 1 of 5 {of_bare} and 2 of 5 {of_unread}"
    )
    assert skipped_counts([bare] * 1200) == f"1,200 of 1,200 {of_bare}"


@pytest.mark.parametrize("piece", [(99, 100), (100, 100)], ids=["shared span", "empty span"])
@pytest.mark.parametrize("before", ["a" * 99, ""], ids=["in a text", "first of a text"])
def test_a_piece_of_a_multi_byte_character_stands_for_the_whole_character(before, piece):
    text = before + "漢" + "b"
    shift = len(before) - 99

    class Pieces(PatternTokenizer):
        special_ids = frozenset({SPECIAL})

        def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
            spans = [(0, 0)] * 49 + [(0, len(before)), (piece[0] + shift, piece[1] + shift)]
            starts, ends = zip(*spans, strict=True)
            return Tokenization([SPECIAL] * 50 + [7], list(starts), list(ends))

    _, (item,) = sample_document(document_of(text), Pieces(""), sampling(), 0)
    assert (item.token, item.char_end, item.stratum) == ("漢", len(before) + 1, "prose")


@pytest.mark.parametrize(
    ("char_ends", "limits", "reason"),
    [
        # Five words after a BOS, ending at 2, 5, 8, 11 and 14.
        ([2, 11], ReadingLimits(5, None), None),
        ([11, 2], ReadingLimits(4, None), "is longer than the 4 tokens that are read"),
        ([14, 11], ReadingLimits(5, None), "is longer than the 5 tokens that are read"),
        ([2], ReadingLimits(2, 101), None),
        ([5], ReadingLimits(6, 101), "holds a token without an embedding"),
        ([None], ReadingLimits(2, None), None),
        ([], ReadingLimits(0, 0), None),
    ],
)
def test_a_text_is_read_only_as_far_as_its_last_item(char_ends, limits, reason):
    items = [Item(n, "corpus:split:7", end, "x", None, "prose") for n, end in enumerate(char_ends)]
    assert (
        why_unreadable(document_of("ab cd ef gh ij"), items, PatternTokenizer(r"\S+"), sampling(), limits, {}) == reason
    )


# "The 漢字 end": BOS, The, ␣ + first byte of 漢, two more bytes of it, 字, ␣end.
MULTI_BYTE = Tokenization(
    token_ids=[1, 2, 3, 4, 5, 6, 7],
    char_starts=[0, 0, 3, 4, 4, 5, 6],
    char_ends=[0, 3, 5, 5, 5, 6, 10],
)


@pytest.mark.parametrize(
    ("char_end", "expected"),
    [
        (3, (1, 0)),
        (5, (4, 0)),
        (6, (5, 0)),
        (8, (6, 2)),
        (10, (6, 0)),
        (4, (4, 1)),
        (12, (6, -2)),
    ],
    ids=["exact", "last piece of a character", "exact wide", "inside a word", "end", "a space in a piece", "cut text"],
)
def test_alignment_takes_the_token_that_ends_at_or_contains_the_character(char_end, expected):
    assert align(MULTI_BYTE, char_end) == expected


class PiecesTokenizer(PatternTokenizer):
    """Cuts every character into as many tokens, each of which has all of it as its offsets, after a BOS."""

    def __init__(self, n_pieces: int, first_id: int = 100) -> None:
        super().__init__("")
        self.n_pieces, self.first_id = n_pieces, first_id

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        starts = [place for place in range(len(text)) for _ in range(self.n_pieces)]
        token_ids = [SPECIAL, *(self.first_id + place % self.n_pieces for place in range(len(starts)))]
        ends = [0, *(place + 1 for place in starts)]
        return Tokenization(token_ids[:max_tokens], [0, *starts][:max_tokens], ends[:max_tokens])


HAN = "漢字" * 30


def drawn_places(k: int, tokenizer: PiecesTokenizer) -> tuple[list[Item], dict[int, tuple[int, int]]]:
    """Items drawn in three pieces a character, and where another tokenization meets them."""
    reference, settings = PiecesTokenizer(3), sampling(positions_per_document=k)
    _, items = sample_document(document_of(HAN), reference, settings, 20)
    prefixes = drawn_prefixes(document_of(HAN), items[::-1], reference, settings)
    tokenization = tokenizer.tokenize(HAN, None)
    return items, {item.item_id: place(tokenization, item, prefixes.get(item.item_id)) for item in items}


def test_the_reference_meets_a_piece_of_a_character_at_the_piece_that_was_drawn():
    reference = PiecesTokenizer(3)
    items, places = drawn_places(131, reference)
    drawn = sample_positions(reference.tokenize(HAN, None).token_ids, 131, {SPECIAL}, "corpus:split:7", 1)
    assert sorted(drawn) == list(range(50, 181)), "every place there is"
    assert [places[item.item_id] for item in items] == [(index, 0) for index in drawn]
    # Three of them end at each character, and only their pieces tell them apart.
    assert len({item.char_end for item in items}) == 44


@pytest.mark.parametrize("other", [PiecesTokenizer(3, first_id=500), PiecesTokenizer(2)], ids=["ids", "pieces"])
def test_another_tokenization_meets_a_piece_of_a_character_at_the_characters_last(other):
    items, places = drawn_places(9, other)
    assert places == {item.item_id: (other.n_pieces * (item.char_end or 0), 0) for item in items}


def test_items_that_are_not_drawn_where_they_are_recorded_are_met_by_their_character():
    reference, settings = PiecesTokenizer(3), sampling(positions_per_document=2)
    _, items = sample_document(document_of(HAN), reference, settings, 0)
    other_seed = settings.model_copy(update={"seed": 2})
    assert drawn_prefixes(document_of(HAN), items, reference, other_seed) == {}
    assert drawn_prefixes(document_of(HAN), [], reference, settings) == {}
    whole = reference.tokenize(HAN, None)
    assert place(whole, items[0], None) == align(whole, items[0].char_end or 0)
    assert place(whole, replace(items[0], char_end=40), whole.token_ids[:61]) == (120, 0)


def test_a_text_is_read_as_far_as_the_drawn_piece_and_no_further():
    reference, settings = PiecesTokenizer(3), sampling(truncation_tokens=51)
    # The only place is token 50, the second of its character's three.
    _, items = sample_document(document_of(HAN), reference, settings, 0)
    drawn = drawn_prefixes(document_of(HAN), items, reference, settings)
    assert why_unreadable(document_of(HAN), items, reference, settings, ReadingLimits(51, None), drawn) is None
    assert why_unreadable(document_of(HAN), items, reference, settings, ReadingLimits(51, None), {}) is not None


def test_alignment_ignores_tokens_that_cover_no_text():
    assert align(Tokenization([1, 5, 2], [0, 0, 4], [0, 4, 4]), 4) == (1, 0)
    sentence = (
        r"^Character 4 cannot be found again: the tokenization holds no token of text\. "
        r"Check that the tokenizer returns character offsets\.$"
    )
    with pytest.raises(NothingToAlign, match=sentence):
        align(Tokenization([1], [0], [0]), 4)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(lambda text: text.strip()), st.data())
def test_every_character_of_a_text_is_met_by_a_token_that_reaches_it(text, data):
    tokenization = PatternTokenizer(r"(?s)\s*\S{1,3}|\s+").tokenize(text, None)
    char_end = data.draw(st.integers(1, len(text)))
    index, error = align(tokenization, char_end)
    assert tokenization.char_starts[index] < char_end <= tokenization.char_ends[index]
    assert error == tokenization.char_ends[index] - char_end
    assert align(tokenization, tokenization.char_ends[index]) == (index, 0)
