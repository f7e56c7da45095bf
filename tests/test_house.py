"""The size and the names of what is in `nlareport/`: a module is found by its name alone, and fits into one sitting."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "nlareport").rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45
"""Lines. Of a function from `def` to its end: its docstring counts, its decorators do not."""


def shared_names(paths: list[Path]) -> list[str]:
    """File names that occur in more than one folder, with the folders."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        if path.name not in ("__init__.py", "__main__.py"):
            places[path.name].append(path.parent.name)
    return [f"{name}: in {', '.join(folders)}" for name, folders in places.items() if len(folders) > 1]


def long_modules(paths: list[Path]) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return [f"{path.name}: {n} lines" for path, n in lengths.items() if n > LONGEST_MODULE]


def long_functions(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if n_lines > LONGEST_FUNCTION:
                    yield f"{path.name}:{node.lineno} {node.name}: {n_lines} lines"


def test_no_two_modules_share_a_name() -> None:
    assert shared_names(MODULES) == []


def test_no_module_is_longer_than_300_lines() -> None:
    assert long_modules(MODULES) == []


def test_no_function_is_longer_than_45_lines() -> None:
    assert list(long_functions(MODULES)) == []


def test_every_room_is_described_to_readers_and_to_contributors() -> None:
    rooms = sorted(path.parent.name for path in (ROOT / "nlareport").glob("*/__init__.py"))
    readme, guide = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "site/pages/extending.md"))
    assert [room for room in rooms if f"`nlareport/{room}/`" not in readme] == []
    assert [room for room in rooms if f"| `{room}` |" not in guide] == []


def test_mutation_testing_names_modules_and_tests_that_exist() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    named = settings["only_mutate"] + settings["pytest_add_cli_args_test_selection"]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_what_is_too_long_or_named_twice_is_found(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    short, long = tmp_path / "one/same.py", tmp_path / "two/same.py"
    short.write_text("@decorated\ndef f():\n" + "    pass\n" * 44 + "\n" * 254)
    assert (long_modules([short]), list(long_functions([short]))) == ([], [])
    long.write_text("class A:\n    def f(self):\n" + "        pass\n" * 45 + "\n" * 254)
    assert shared_names([short, long]) == ["same.py: in one, two"]
    assert long_modules([short, long]) == ["same.py: 301 lines"]
    assert list(long_functions([short, long])) == ["same.py:2 f: 46 lines"]
