"""The engine ``scripted``: no models, no torch, the same answers every time; for tests and demonstrations.

Its world has 32 concepts. A word belongs to one by its hash, a vector is a fading sum of the concepts of the last
words, each pair in its own random basis. The verbalizer reads the concepts back and quotes them, some by a word only
its own reconstructor knows: the diagonal is best, other pairs understand a part, and a shuffled text gives nothing.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, TypeVar

import numpy as np
from jaxtyping import Float

from nlareport.batches import ChatMessage, Completion, ReadingLimits, TokenDraws, Tokenization
from nlareport.checkpoints.conversations import answer_span, content_spans, conversation_text, covered, with_spans
from nlareport.engine_options import EngineSettings
from nlareport.experiment.pair_section import PairSpec
from nlareport.rows.run_rows import CheckpointRole, Choice, MakingKind
from nlareport.statistics.resampling import uniforms

_CONCEPT_NAMES = """
    river market winter letter garden engine treaty violin harbour protein election mountain recipe satellite
    orchestra glacier contract painting vaccine railway comet library drought algorithm cathedral tournament
    volcano passport theatre harvest bridge lantern
"""
CONCEPTS = tuple(_CONCEPT_NAMES.split())
BOS_ID = 1

_N_WORDS_SEEN = 6
_FADING = 0.7
_UNIT = 10.0
"""How much weight makes a concept e times as likely, at a temperature of 1; the last word of a text gives 50."""
_WORD = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
_QUOTED = re.compile(r'"([^"]*)"')


class ScriptedTokenizer:
    """Cuts text into words and signs; about half of all pairs also cut long words in two."""

    def __init__(self, pair_id: str) -> None:
        self._cuts_long_words = _digest(f"cut|{pair_id}") % 2 == 1

    @property
    def special_ids(self) -> frozenset[int]:
        """The beginning-of-sequence token."""
        return frozenset({BOS_ID})

    @property
    def control_ids(self) -> frozenset[int]:
        """None: no word is special."""
        return frozenset()

    def tokenize(self, text: str, max_tokens: int | None) -> Tokenization:
        """The tokens of a text after a BOS, cut on the right to `max_tokens`."""
        spans, token_ids = [(0, 0)], [BOS_ID]
        for match in _WORD.finditer(text):
            start, end = match.span()
            middle = end - (end - start) // 2
            pieces = [(start, middle), (middle, end)] if self._cuts_long_words and end - start > 7 else [(start, end)]
            for place, piece in enumerate(pieces):
                spans.append(piece)
                token_ids.append(_token_id(match.group(), len(pieces) - 1 - place))
        return Tokenization(
            token_ids=token_ids[:max_tokens],
            char_starts=[start for start, _ in spans][:max_tokens],
            char_ends=[end for _, end in spans][:max_tokens],
        )

    def tokenize_chat(self, messages: Sequence[ChatMessage], *, is_asked: bool) -> Tokenization:
        """The tokens of the conversation as plain text, of which those between contents are the template's."""
        end = answer_span(messages)[1] if is_asked else None
        text = conversation_text(messages)[:end]
        found = self.tokenize(text, None)
        places = [(begins, ends, begins) for begins, ends in content_spans(messages)]
        spans, reached = [], 0
        for token in zip(found.char_starts, found.char_ends, strict=True):
            start, reached = covered(*token, places) or (reached, reached)
            spans.append((start, reached))
        return with_spans(found.token_ids, spans, answer_span(messages) if is_asked else None)


_Half = TypeVar("_Half", bound="_Scripted")


class _Scripted:
    """One pair's concepts as vectors; nothing to free."""

    def __init__(self, pair: PairSpec) -> None:
        self.d_model = pair.d_model
        self._pair_id = pair.pair_id
        generator = np.random.default_rng(_digest(f"basis|{pair.pair_id}"))
        self._basis = generator.standard_normal((len(CONCEPTS), pair.d_model)) / np.sqrt(pair.d_model)

    def __enter__(self: _Half) -> _Half:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class ScriptedExtractor(_Scripted):
    """Sums the concepts of the words before an item, the last one loudest."""

    def extract(self, token_ids: list[list[int]]) -> Float[np.ndarray, "item d_model"]:
        """One float32 vector per sequence, of norm about 50, with a little of the pair's own noise."""
        vectors = np.empty((len(token_ids), self.d_model), dtype=np.float32)
        for row, sequence in enumerate(token_ids):
            weights = np.zeros(len(CONCEPTS))
            words = [token_id // 2 for token_id in sequence if token_id != BOS_ID and token_id % 2 == 0]
            for age, word in enumerate(reversed(words[-_N_WORDS_SEEN:])):
                weights[word % len(CONCEPTS)] += _FADING**age
            noise = np.random.default_rng(_digest(f"noise|{self._pair_id}|{sequence}")).standard_normal(self.d_model)
            vectors[row] = 50 * (0.2 * self._basis[0] + weights @ self._basis + 0.1 * noise / np.sqrt(self.d_model))
        return vectors


class ScriptedVerbalizer(_Scripted):
    """Quotes the concepts it finds in a vector, the strongest first."""

    def __init__(self, pair: PairSpec, max_new_tokens: int) -> None:
        super().__init__(pair)
        self._max_new_tokens = max_new_tokens

    def verbalize(
        self, vectors: Float[np.ndarray, "item d_model"], draws: TokenDraws | None = None
    ) -> list[Completion]:
        """One answer per vector; it ends in the middle when the budget of words is spent."""
        found = np.asarray(vectors, dtype=np.float64)
        if draws is None:
            return [self._completion(vector, _strongest) for vector in found]
        return [
            self._completion(vector, partial(_drawn, draws, name))
            for vector, name in zip(found, draws.names, strict=True)
        ]

    def _completion(
        self, vector: Float[np.ndarray, " d_model"], choose: Callable[[Float[np.ndarray, " concept"], int], list[int]]
    ) -> Completion:
        weights = np.linalg.lstsq(self._basis.T, vector, rcond=None)[0]
        # Three to five: a small budget of words then cuts some answers and not others.
        n_named = 3 + _digest(f"length|{weights.round(6).tolist()}") % 3
        quotes = ", ".join(f'"{_name(concept, self._pair_id)}"' for concept in choose(weights, n_named))
        words = f"<explanation> A text about {quotes} . </explanation>".split(" ")
        if len(words) + 1 > self._max_new_tokens:
            return Completion(" ".join(words[: self._max_new_tokens]), self._max_new_tokens, "length")
        return Completion(" ".join(words), len(words) + 1, "stop")


class ScriptedReconstructor(_Scripted):
    """Sums the concepts a text quotes, as far as it knows their names."""

    def reconstruct(self, explanations: list[str]) -> Float[np.ndarray, "item d_model"]:
        """One float32 vector per text; one without a name it knows becomes the pair's own constant vector."""
        known = {_name(concept, self._pair_id): concept for concept in range(len(CONCEPTS))}
        known |= {name: concept for concept, name in enumerate(CONCEPTS)}
        vectors = np.empty((len(explanations), self.d_model), dtype=np.float32)
        for row, explanation in enumerate(explanations):
            weights = np.zeros(len(CONCEPTS))
            for age, name in enumerate(_QUOTED.findall(explanation)):
                if name in known:
                    weights[known[name]] += _FADING**age
            vectors[row] = 0.2 * self._basis[0] + weights @ self._basis
        return vectors


class ScriptedEngine:
    """Answers the ports for any pair and opens no checkpoint, under any name."""

    device = "none"
    machine: ClassVar[Mapping[str, str | int]] = {}
    libraries: ClassVar[Mapping[str, str]] = {}

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    def check(self, pair: PairSpec) -> None:
        """Passes: a script has nothing that could be damaged."""

    def prompt_ids(self, pair: PairSpec) -> tuple[int, ...]:  # noqa: ARG002 - the port's shape
        """Nothing: a script is not asked in words."""
        return ()

    def limits(self, pair: PairSpec) -> ReadingLimits:  # noqa: ARG002 - the port's shape
        """None: a script reads any text."""
        return ReadingLimits(None, None)

    def tokenizer(self, pair: PairSpec) -> ScriptedTokenizer:
        """Cuts as this pair does."""
        return ScriptedTokenizer(pair.pair_id)

    def extractor(self, pair: PairSpec) -> ScriptedExtractor:
        """Reads in this pair's basis."""
        return ScriptedExtractor(pair)

    def verbalizer(self, pair: PairSpec) -> ScriptedVerbalizer:
        """Writes in this pair's words."""
        return ScriptedVerbalizer(pair, self._settings.max_new_tokens)

    def reconstructor(self, pair: PairSpec) -> ScriptedReconstructor:
        """Understands this pair's words, and those all pairs share."""
        return ScriptedReconstructor(pair)

    def sidecar(self, pair: PairSpec) -> None:
        """A script has no checkpoint and so no sidecar."""

    def choices(self, pair: PairSpec) -> list[Choice]:  # noqa: ARG002 - the port's shape
        """None: a script leaves nothing open."""
        return []

    def fingerprints(
        self,
        pair: PairSpec,
        role: CheckpointRole,
        advance: Callable[[int], None] | None = None,  # noqa: ARG002 - the port's shape
    ) -> Mapping[MakingKind, str]:
        """What a pair's script is made of: the concepts, and the names its answers are drawn from."""
        made_of = [*CONCEPTS, str(_N_WORDS_SEEN), str(_FADING), pair.pair_id, str(pair.d_model), role]
        return {"script": hashlib.sha256("\n".join(made_of).encode()).hexdigest()}


def _strongest(weights: Float[np.ndarray, " concept"], n_named: int) -> list[int]:
    """The concepts of the largest weights, the largest first."""
    strongest: list[int] = np.argsort(-weights, kind="stable")[:n_named].tolist()
    return strongest


def _drawn(draws: TokenDraws, name: str, weights: Float[np.ndarray, " concept"], n_named: int) -> list[int]:
    """Concepts drawn one after the other, none twice: the larger its weight, the likelier."""
    scores, chosen = weights / (_UNIT * draws.temperature), []
    for number in uniforms(name, n_named):
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        likeliest = np.argsort(-shares, kind="stable")
        is_left_out = np.cumsum(shares[likeliest]) - shares[likeliest] >= draws.top_p
        shares[likeliest[is_left_out]] = 0.0
        sums = np.cumsum(shares)
        concept = int(np.searchsorted(sums, number * sums[-1], side="right"))
        chosen.append(concept)
        scores[concept] = -np.inf
    return chosen


def _token_id(word: str, pieces_after: int) -> int:
    # Twice the word's number, and odd for a first half: only whole words and last halves carry a concept.
    return 2 * (1 + _digest(word.strip().lower()) % 50_000) + (pieces_after % 2)


def _name(concept: int, pair_id: str) -> str:
    """What this pair calls a concept: a quarter of them by a word of its own."""
    if _digest(f"name|{pair_id}|{concept}") % 4 == 0:
        return f"{CONCEPTS[concept]} as {pair_id} says it"
    return CONCEPTS[concept]


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
