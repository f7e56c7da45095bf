"""Checkpoint files changed at random: a pair opens and answers, or says in our own words why it does not."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_checkpoints import ARCHITECTURES, D_MODEL, Architecture, TinyPair, copied_pair

from nlareport.backends import EngineSettings, load_engine
from nlareport.errors import CheckpointInvalid, NlareportError

VALUES: tuple[Any, ...] = (None, -1, 0, 1.5, "x", "", [], {}, True, 10**18, [None], {"a": 1}, "../x", float("inf"))
TEXT = "The river rose by 14 metres, and the old bridge was swept away."


def with_bytes_changed(content: bytes, choose: random.Random) -> bytes:
    """The file cut, with a byte changed, with some taken out, or with some put in."""
    place = choose.randrange(max(1, len(content)))
    kind = choose.randrange(4)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes([choose.randrange(256)]) + content[place + 1 :]
    if kind == 2:
        return content[:place] + content[place + choose.randrange(1, 40) :]
    return content[:place] + choose.randbytes(choose.randrange(1, 9)) + content[place:]


def with_a_value_changed(content: bytes, choose: random.Random) -> bytes:
    """The JSON file with one of its values taken away or of another kind, those on top more often."""
    tree = json.loads(content)
    places = list(_places(tree, []))
    if not places:
        return content
    places.sort(key=len)
    *path, key = places[min(len(places) - 1, int(choose.expovariate(1 / 25)))]
    inside = tree
    for step in path:
        inside = inside[step]
    if isinstance(inside, dict) and choose.random() < 0.3:
        del inside[key]
    else:
        inside[key] = choose.choice(VALUES)
    return json.dumps(tree).encode()


def _places(tree: Any, path: list[Any]) -> Any:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree[:5]) if isinstance(tree, list) else ()
    for key, value in inside:
        yield [*path, key]
        yield from _places(value, [*path, key])


def use(pair: TinyPair, role: str) -> None:
    """Looks at the whole pair, then has one of its checkpoints answer."""
    spec = pair.pair_spec
    engine = load_engine("transformers", EngineSettings("cpu", "float32", 2, 3))
    engine.check(spec)
    if role == "base":
        token_ids = engine.tokenizer(spec).tokenize(TEXT, None).token_ids
        if engine.limits(spec).why_unreadable(token_ids) is None:
            with engine.extractor(spec) as extractor:
                extractor.extract([token_ids])
    elif role == "av":
        with engine.verbalizer(spec) as verbalizer:
            verbalizer.verbalize(np.ones((2, D_MODEL), dtype=np.float32))
    else:
        with engine.reconstructor(spec) as reconstructor:
            reconstructor.reconstruct([TEXT, "", "b" * 3_000])


def change_and_use(pair: TinyPair, seed: int) -> str:
    """What came of one change, after which the file is as it was."""
    choose = random.Random(seed)
    files = sorted(
        path for directory in (pair.base, pair.verbalizer, pair.reconstructor) for path in directory.iterdir()
    )
    path = choose.choice(files)
    content = path.read_bytes()
    change = with_a_value_changed if path.suffix == ".json" and choose.random() < 0.7 else with_bytes_changed
    path.write_bytes(change(content, choose))
    try:
        use(pair, path.parent.name)
    except NlareportError as error:
        # A sidecar's faults are listed together, one a line.
        if "\n" in str(error) and not isinstance(error, CheckpointInvalid):
            pytest.fail(f"seed {seed}, {path.name}: more than one line: {error}")
        return type(error).__name__
    finally:
        path.write_bytes(content)
    return "used"


@pytest.mark.filterwarnings("default")
def test_a_changed_checkpoint_is_used_or_refused_in_our_words(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = copied_pair(tiny_pairs["llama"], tmp_path)
    outcomes = [change_and_use(pair, seed) for seed in range(25)]
    assert {"used", "CheckpointDamaged", "CheckpointMissing"} <= set(outcomes)
    assert capfd.readouterr().out == ""


@pytest.mark.soak
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpoints_changed_by_the_hundred(
    tiny_pairs: dict[Architecture, TinyPair], tmp_path: Path, architecture: Architecture
) -> None:
    pair = copied_pair(tiny_pairs[architecture], tmp_path)
    outcomes = [change_and_use(pair, seed) for seed in range(1_000, 1_250)]
    assert {"used", "CheckpointDamaged", "CheckpointMissing", "CheckpointInvalid"} <= set(outcomes)
