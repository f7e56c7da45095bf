"""Pairs of files made elsewhere that lack a half or a model: what they say of themselves, and what they may not be.

Takes what a file gives of a pair; returns it with nothing where there is nothing, or what is wrong with it.
"""

from typing import Any

NO_MODEL = "none"
"""What stands for a base model where a source of texts has none."""


def without_model(given: Any) -> Any:
    """What is given of a pair, with nothing in the place of base model, block and width where it has no model.

    A source of texts says so with `base_model: none`; it is read by reconstructors and has none. An entry that states
    both halves, the block and the width, as exports do, has a model, even one called "none".
    """
    if not isinstance(given, dict) or "base_model" not in given:
        return given
    named = given["base_model"]
    if named is not None and not (isinstance(named, str) and named.strip().lower() == NO_MODEL):
        return given
    if named is not None and all(given.get(key) is not None for key in ("writes", "reads", "block_index", "d_model")):
        return given
    return {"reads": False, **given, **dict.fromkeys(("base_model", "block_index", "d_model"))}


def halves_fault(
    base_model: str | None, block_index: int | None, d_model: int | None, *, writes: bool, reads: bool
) -> str:
    """What is wrong with the parts that a pair is said to have; empty where nothing is."""
    if base_model is None and (reads or not writes):
        return "has no base model (base_model none), so it can only be a source; leave out writes and reads"
    if base_model is not None and None in (block_index, d_model):
        return "names a base model but not its block_index and d_model; add them, or say base_model: none"
    return "" if writes or reads else "neither writes nor reads, so it has no cell; set one of the two to true"
