"""Ablations: changes explanations on purpose and scores what the target's reconstructor still recovers.

Takes texts and golds, returns `Ablation` rows. The changes are pure functions of a text. No vector is kept: only the
score of a changed text matters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nlareport.batches import ActivationBatch
from nlareport.errors import CheckpointDrift
from nlareport.ports import Reconstructor, Tokenizer
from nlareport.rows.ablation_methods import AblationMethod, Cut, cut_of
from nlareport.rows.item_rows import Ablation
from nlareport.rows.run_rows import PairId
from nlareport.statistics.geometry import mse_nrm
from nlareport.statistics.resampling import random_order

DIGIT_MASK = "#"
"""Replaces a digit: texts themselves mask numbers this way, and every tokenizer knows the sign."""

_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')


class Occasion(NamedTuple):
    """Which explanation of which run is changed: the seed of its randomness."""

    seed: int
    item_id: int
    source: PairId


def words_shuffled(text: str, occasion: Occasion) -> str:
    """The text's words, separated by whitespace, in a random order that is always the same on one occasion.

    Single spaces separate them in the result; line breaks are not kept.
    """
    words = text.split()
    order = random_order(len(words), occasion.seed, f"words_shuffled|{occasion.item_id}|{occasion.source}")
    return " ".join(words[place] for place in order.tolist())


def quotes_kept(text: str) -> str:
    """Only what is between pairs of double quotation marks, marks included, separated by single spaces.

    Marks pair as in `quotes_blanked`. A text without such a pair becomes empty.
    """
    return " ".join(_QUOTED.findall(text))


def quotes_blanked(text: str) -> str:
    """The text with nothing left between a pair of double quotation marks, straight or curly; the marks stay.

    Marks pair from left to right, across lines too; one that finds no partner stays with what follows it. Single
    marks are left alone: most of them are apostrophes.
    """
    return _QUOTED.sub(lambda quoted: quoted[0][0] + quoted[0][-1], text)


def digits_masked(text: str) -> str:
    """The text with a `DIGIT_MASK` in place of every digit: where a number is and how long it is remains visible."""
    return "".join(DIGIT_MASK if character.isdigit() else character for character in text)


def tokens_cut(text: str, cut: Cut, tokenizer: Tokenizer) -> str:
    """The characters of the text's first or last tokens, untouched; of a text of no more tokens, all of them.

    Special tokens do not count. A token that holds a part of a character keeps the whole of it.
    """
    tokenization = tokenizer.tokenize(text, None)
    spans = zip(tokenization.char_starts, tokenization.char_ends, strict=True)
    tokens = [(start, end) for start, end in spans if end > start]
    if len(tokens) <= cut.n_tokens:
        return text
    return text[: tokens[cut.n_tokens - 1][1]] if cut.end == "first" else text[tokens[-cut.n_tokens][0] :]


WHOLE_TEXT_CHANGES: Mapping[str, Callable[[str, Occasion], str]] = {
    "words_shuffled": words_shuffled,
    "quotes_kept": lambda text, _: quotes_kept(text),
    "quotes_blanked": lambda text, _: quotes_blanked(text),
    "digits_masked": lambda text, _: digits_masked(text),
}
"""What each method does that is no cut. A new one needs its name in `ablation_methods.WHOLE_TEXT_METHODS`."""


def changed_text(text: str, method: AblationMethod, occasion: Occasion, tokenizer: Tokenizer) -> str:
    """What the method leaves of a text; `tokenizer` is that of the reconstructor that will read it."""
    cut = cut_of(method)
    return WHOLE_TEXT_CHANGES[method](text, occasion) if cut is None else tokens_cut(text, cut, tokenizer)


def ablate(
    texts: Mapping[int, str],
    source: PairId,
    method: AblationMethod,
    gold: ActivationBatch,
    written: ActivationBatch,
    seed: int,
    tokenizer: Tokenizer,
    reconstructor: Reconstructor,
) -> list[Ablation]:
    """One row per row of `gold`, the target's activations, in its order; `texts` holds each item's text as written.

    `written` holds what the target reconstructed from texts as written. A text that the method leaves as it was is
    scored by that, so that it loses exactly nothing, and read only when it is not there. A text that several items
    are left with is read once; an empty one is read like any other. Where the reconstruction has no
    direction, being zero or not finite, the row has no `mse_nrm`.

    Raises:
        CheckpointDrift: reconstructions and golds differ in width.
        ZeroVector: a gold has norm 0.
    """
    item_ids = gold.item_ids.tolist()
    if not item_ids:
        return []
    known = dict(zip(written.item_ids.tolist(), written.vectors, strict=True))
    changed = {k: changed_text(texts[k], method, Occasion(seed, k, source), tokenizer) for k in item_ids}
    unread = [item_id for item_id in item_ids if changed[item_id] != texts[item_id] or item_id not in known]
    read = _read([changed[item_id] for item_id in unread], reconstructor)
    vectors = known | {item_id: read[changed[item_id]] for item_id in unread}
    errors = _errors(gold, [vectors[item_id] for item_id in item_ids])
    return [
        Ablation(item_id, source, gold.pair_id, method, error) for item_id, error in zip(item_ids, errors, strict=True)
    ]


def _read(texts: Sequence[str], reconstructor: Reconstructor) -> dict[str, Float[np.ndarray, " d_model"]]:
    """Each text's reconstruction; nothing is asked for no text."""
    once = list(dict.fromkeys(texts))
    return dict(zip(once, reconstructor.reconstruct(once), strict=True)) if once else {}


def _errors(gold: ActivationBatch, rows: Sequence[Float[np.ndarray, " d_model"]]) -> list[float | None]:
    """`mse_nrm` of each row against its gold; None where it has no direction."""
    width = gold.vectors.shape[1]
    if wrong := next((len(row) for row in rows if len(row) != width), None):
        raise CheckpointDrift(
            f"Pair {gold.pair_id}: its reconstructor returns vectors of width {wrong}, its activations have width "
            f"{width}. Check d_model and the checkpoint of each."
        )
    vectors = np.stack(rows)
    has_direction = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    errors = np.full(len(rows), np.nan)
    errors[has_direction] = mse_nrm(gold.vectors[has_direction], vectors[has_direction])
    return [error if directed else None for error, directed in zip(errors.tolist(), has_direction, strict=True)]
