"""Every example of the page "Bring your own", followed as it stands there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.guide_pages import Step, follow, is_as_shown, sections
from support.scripted_runs import write_corpus
from support.shipped_pairs import give_adapters

SECTIONS = sections("bring-your-own.md")


def nothing(_folder: Path) -> None:
    """The section shows every file it needs."""


def give_documents(folder: Path) -> None:
    """The texts of an experiment."""
    write_corpus(folder, 12)


def a_pair_in_mine(folder: Path) -> None:
    """A tiny pair whose halves are in `mine/`."""
    from support.tiny_checkpoints import build_tiny_pair

    build_tiny_pair(folder / "mine", "qwen2")


def three_pairs(folder: Path) -> None:
    """Documents, two tiny pairs of one architecture and one of another."""
    from support.tiny_checkpoints import build_tiny_pair

    write_corpus(folder, 12)
    for number, (name, architecture) in enumerate({"mine": "qwen2", "newer": "qwen2", "other": "llama"}.items()):
        build_tiny_pair(folder / name, architecture, seed=number)


READERS_HAVE: dict[str, Callable[[Path], None]] = {
    **dict.fromkeys(SECTIONS, nothing),
    "Several draws of an explanation": give_documents,
    "Texts without a reconstructor, and a pair more": three_pairs,
    "Adapters, added vectors and other heads": give_adapters,
    "Chats, chosen positions and given vectors": a_pair_in_mine,
}
"""What is made in a reader's folder before the steps of a section, where it speaks of more than it shows."""


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_example_works_as_it_stands_on_the_page(heading: str, tmp_path: Path) -> None:
    READERS_HAVE[heading](tmp_path)
    follow(SECTIONS[heading], tmp_path)


def test_an_example_that_prints_something_else_or_fails_is_found(tmp_path: Path) -> None:
    steps = [Step("file", "one\ntwo\n", "a.txt"), Step("commands", "cat a.txt\n"), Step("output", "one\nthree\n")]
    with pytest.raises(AssertionError, match="three"):
        follow(steps, tmp_path)
    with pytest.raises(AssertionError, match="ended with 3"):
        follow([Step("commands", "exit 3\n")], tmp_path)
    assert is_as_shown("a \nb\nc\nd\n", "a\n…\nd\n")
    assert not is_as_shown("a\nb\n", "a\n")
