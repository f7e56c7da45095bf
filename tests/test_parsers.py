"""Whatever a stranger's file holds, a parser gives a value or one short refusal of ours, and nothing else."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.made_runs import PUBLISHED
from support.refusals import refusal_of
from support.scripted_runs import scripted_content

from nlareport.batches import Tokenization
from nlareport.checkpoints.answers import judge_answer
from nlareport.checkpoints.prompts import explanation_in
from nlareport.checkpoints.sidecar import Sidecar, parse_sidecar, read_sidecar, sidecar_content
from nlareport.checkpoints.sidecar_values import MOST_SCALE, MOST_WHOLE
from nlareport.errors import CheckpointInvalid, ExperimentInvalid, NothingToAlign, PublishedFiguresInvalid
from nlareport.experiment.experiment_file import load_experiment
from nlareport.files.yaml_files import text_of
from nlareport.stages.sample import align
from nlareport.store.published.published_run import published_rows

WRITING = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD = [
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "..",
    "a\u202eb",
    "\x00",
    "x" * 5000,
    [],
    {},
    [[]],
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WRITING | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WRITING, inner, max_size=2),
    max_leaves=4,
)


@cache
def whole_sidecar() -> dict[str, Any]:
    path = Path(__file__).parent / "fixtures" / "sidecars"
    return dict(yaml.safe_load(sorted(path.rglob("*.yaml"))[0].read_text(encoding="utf-8")))


def places_in(content: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested mappings and lists, as the keys that lead there."""
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [here, *(place for key, child in children for place in places_in(child, (*here, key)))]


@st.composite
def mutated(draw: st.DrawFn, content: dict[str, Any]) -> Any:
    """A sound file with up to three of its places replaced by anything, removed, or given another key."""
    changed = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places_in(changed)))
        if not place:
            continue
        parent = changed
        for key in place[:-1]:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            parent[place[-1]] = draw(ANYTHING)
        elif change == "remove":
            del parent[place[-1]]
        elif isinstance(parent, dict):
            parent[draw(WRITING)] = draw(ANYTHING)
    return changed


def spoilt(text: str, seed: int) -> bytes:
    """The file with a few bytes changed, put in or taken out."""
    generator, content = random.Random(seed), bytearray(text.encode())
    for _ in range(generator.choice([1, 1, 3, 12])):
        place = generator.randrange(len(content))
        match generator.randrange(4):
            case 0:
                content[place] = generator.randrange(256)
            case 1:
                content[place:place] = generator.choice(
                    [b"&a ", b"*a", b"\n", b"\t", b"- ", b": ", b"{", b"[", b"!!", b'"']
                )
            case 2:
                del content[place : place + generator.randrange(1, 30)]
            case _:
                content += content[place : place + 200]
    return bytes(content)


def written(tmp_path: Path, name: str, content: Any) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else text_of(content).encode())
    return path


def spoilt_files_end_well(folder: Path, seeds: range) -> None:
    texts = {
        "experiment.yaml": yaml.safe_dump(scripted_content(4)),
        "figures.yaml": PUBLISHED.read_text(encoding="utf-8"),
        "nla_meta.yaml": yaml.safe_dump(whole_sidecar(), allow_unicode=True),
    }
    for seed in seeds:
        paths = {name: written(folder, name, spoilt(text, seed)) for name, text in texts.items()}
        refusal_of(lambda: load_experiment(paths["experiment.yaml"]), ExperimentInvalid)  # noqa: B023 - called here
        refusal_of(lambda: read_sidecar(folder), CheckpointInvalid)
        if seed % 5 == 0:  # 20 times as long as the others
            refusal_of(lambda: published_rows(paths["figures.yaml"]), PublishedFiguresInvalid)  # noqa: B023


def test_files_with_spoilt_bytes_are_read_or_refused(tmp_path: Path) -> None:
    spoilt_files_end_well(tmp_path, range(60))


@pytest.mark.soak
def test_thousands_of_files_with_spoilt_bytes_are_read_or_refused(tmp_path: Path) -> None:
    spoilt_files_end_well(tmp_path, range(1_000, 4_000))


@settings(max_examples=60, deadline=None)
@given(content=mutated(scripted_content(4)))
def test_a_changed_experiment_is_read_or_refused(content: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = written(tmp_path_factory.getbasetemp(), "changed.yaml", content)
    refusal_of(lambda: load_experiment(path), ExperimentInvalid)


@settings(max_examples=60, deadline=None)
@given(content=mutated(whole_sidecar()))
def test_a_changed_sidecar_is_read_or_refused_and_reads_back_from_what_is_written_of_it(content: Any) -> None:
    if not isinstance(content, dict):
        return
    found: list[Sidecar] = []
    refused = refusal_of(lambda: found.append(parse_sidecar(content, Path("nla_meta.yaml"))), CheckpointInvalid)
    assert (refused is None) == bool(found)
    for sidecar in found:
        assert parse_sidecar(sidecar_content(sidecar), Path("again.yaml")) == sidecar


IDS = st.integers(0, MOST_WHOLE)
SCALES = st.none() | st.floats(1e-6, MOST_SCALE)


@settings(max_examples=60, deadline=None)
@given(
    role=st.sampled_from(["av", "ar"]),
    d_model=st.integers(1, MOST_WHOLE),
    numbers=st.tuples(st.none() | IDS, IDS, IDS, IDS),
    scales=st.tuples(SCALES, SCALES),
    suffix=st.none() | st.lists(IDS, max_size=4),
    words=st.tuples(WRITING.filter(bool), WRITING, WRITING),
    others=st.tuples(st.sampled_from([None, True, False]), st.integers(2, MOST_WHOLE)),
)
def test_every_sidecar_that_is_written_reads_back(
    role: Any, d_model: int, numbers: Any, scales: Any, suffix: Any, words: Any, others: Any, tmp_path_factory: Any
) -> None:
    char, before, after = words
    made = Sidecar(
        role,
        d_model,
        numbers[0],
        scales[0],
        scales[1],
        char,
        *numbers[1:],
        None if suffix is None else tuple(suffix),
        f"{before}{{injection_char}}{after}" if "{injection_char}" not in before + after else "{injection_char}",
        f"{before}{{explanation}}{after}" if "{explanation}" not in before + after else "{explanation}",
        *others,
    )
    folder = tmp_path_factory.getbasetemp()
    written(folder, "nla_meta.yaml", sidecar_content(made))
    assert read_sidecar(folder) == made


TAGS = st.sampled_from(
    ["<explanation>", "</explanation>", "<explanation", "explanation>", " ", "\n", "<", "a", "\ud800"]
)


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(TAGS | WRITING, max_size=10))
@example(parts=["<explanation>"] * 2000)
@example(parts=["</explanation>", "<explanation>", "a", "</explanation>"])
def test_an_explanation_is_the_stripped_text_of_the_first_pair_of_tags(parts: list[str]) -> None:
    completion = "".join(parts)
    found = explanation_in(completion)
    # As the public release's own pattern finds it.
    expected = re.search("<explanation>(.*?)</explanation>", completion, re.DOTALL)
    assert found == (expected and expected[1].strip())


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(TAGS | WRITING, max_size=10), finish=st.sampled_from(["stop", "length"]))
@example(parts=["<", " " * 40_000, "/", " " * 40_000], finish="stop")
@example(parts=["<a "] * 20_000, finish="length")
def test_every_answer_is_judged_and_only_one_with_a_text_between_its_tags_is_clean(
    parts: list[str], finish: Literal["stop", "length"]
) -> None:
    completion = "".join(parts)
    found, text = judge_answer(completion, finish), explanation_in(completion)
    assert found.is_clean == bool(text)
    assert found.is_closed == (text is not None)
    assert found.text == (text or None)
    assert (found.mark in (None, "overrun")) == found.is_clean
    assert (found.mark == "overrun") == (found.is_clean and finish == "length")
    if found.mark in ("no_tag", "unclosed_tag"):
        assert finish == "stop"


@settings(max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(0, 4), max_size=12), char_end=st.integers(-3, 60), gap=st.integers(0, 2))
def test_an_item_is_found_at_the_last_token_that_ends_first_at_or_after_it(
    lengths: list[int], char_end: int, gap: int
) -> None:
    starts, ends, at = [], [], 0
    for length in lengths:
        starts.append(at)
        ends.append(at + length)
        at += length + gap
    tokenization = Tokenization(token_ids=list(range(len(lengths))), char_starts=starts, char_ends=ends)
    found: list[tuple[int, int]] = []
    if refusal_of(lambda: found.append(align(tokenization, char_end)), NothingToAlign) is not None:
        assert not any(lengths)
        return
    ((index, error),) = found
    assert lengths[index] > 0
    assert error == ends[index] - char_end
    covering = [place for place, length in enumerate(lengths) if length]
    if error >= 0:
        assert not any(char_end <= ends[place] < ends[index] for place in covering)
    else:
        assert ends[index] == max(ends[place] for place in covering)
