import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlareport.batches import SourceDocument, Tokenization
from nlareport.errors import NothingToAlign
from nlareport.experiment import Sampling
from nlareport.stages.sample import align, sample_document, sample_positions

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


def test_a_long_document_of_special_tokens_is_skipped_with_another_reason():
    class OnlySpecial(PatternTokenizer):
        special_ids = frozenset(range(1000))

    row, items = sample_document(document_of(WORDS), OnlySpecial(r"\s*\S+"), sampling(), 0)
    assert items == []
    assert row.skipped_reason == "no token of text after the first 50 tokens"


@pytest.mark.parametrize("piece", [(99, 100), (100, 100)], ids=["shared span", "empty span"])
def test_a_piece_of_a_multi_byte_character_stands_for_the_whole_character(piece):
    text = "a" * 99 + "漢" + "b"

    class Pieces(PatternTokenizer):
        special_ids = frozenset({SPECIAL})

        def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
            starts, ends = zip(*[(0, 0)] * 49, (0, 99), piece, strict=True)
            return Tokenization([SPECIAL] * 50 + [7], list(starts), list(ends))

    _, (item,) = sample_document(document_of(text), Pieces(""), sampling(), 0)
    assert (item.token, item.char_end, item.stratum) == ("漢", 100, "prose")


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


def test_alignment_ignores_tokens_that_cover_no_text():
    assert align(Tokenization([1, 5, 2], [0, 0, 4], [0, 4, 4]), 4) == (1, 0)
    with pytest.raises(NothingToAlign, match="no token of text"):
        align(Tokenization([1], [0], [0]), 4)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(lambda text: text.strip()), st.data())
def test_every_character_of_a_text_is_met_by_a_token_that_reaches_it(text, data):
    tokenization = PatternTokenizer(r"(?s)\s*\S{1,3}|\s+").tokenize(text, None)
    char_end = data.draw(st.integers(1, len(text)))
    index, error = align(tokenization, char_end)
    assert tokenization.char_starts[index] < char_end <= tokenization.char_ends[index]
    assert error == tokenization.char_ends[index] - char_end
    assert align(tokenization, tokenization.char_ends[index]) == (index, 0)
