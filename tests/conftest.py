from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from support.tiny_checkpoints import Architecture, TinyPair


# A busy machine is no fault of a test. Profiles chosen on the command line or by a plugin stay.
if settings.get_current_profile_name() == "default":
    settings.register_profile("tests", deadline=None)
    settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by what they need, and puts the tests of real models first.

    Those are the longest, and one process alone then builds what they share.
    """
    for item in items:
        for mark, is_needed in NEEDS.items():
            if is_needed(item):
                item.add_marker(mark)
    items.sort(key=lambda item: item.path.name != "test_pairs.py")


def _uses(item: pytest.Item, fixtures: set[str], modules: set[str]) -> bool:
    """Does the test take one of these fixtures, or its module import one of these modules or anything from it?"""
    found = set(item.fixturenames) & fixtures
    for value in vars(item.module).values():
        found |= {getattr(value, "__module__", None), getattr(value, "__name__", None)} & modules
    return bool(found)


NEEDS: dict[str, Callable[[pytest.Item], bool]] = {
    "models": lambda item: _uses(item, {"tiny_pairs"}, {"torch"}),
    "browser": lambda item: _uses(item, {"browser"}, set()),
    "trials": lambda item: _uses(item, set(), {"support.trials"}),
    "runs": lambda item: (
        _uses(
            item,
            {"scripted_run", "computed_report", "published_report", "site_project"},
            {"support.scripted_runs", "support.reports", "nlareport.publish"},
        )
        or hasattr(item.module, "cli")
    ),
}
"""Marks that follow from a test's fixtures and imports; `make test-quick` leaves these tests out."""


def pytest_collection_finish() -> None:
    """Leaves out of every later collection what the imported libraries are made of: 0.2 s each time a model closes."""
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[Architecture, TinyPair]:
    """One tiny random pair of every architecture, block 1 of 4. Shared: copy a directory before changing it."""
    # Imported here, so that tests without models start without torch.
    from support.tiny_checkpoints import ARCHITECTURES, build_tiny_pair

    root = tmp_path_factory.mktemp("tiny_pairs")
    return {architecture: build_tiny_pair(root / architecture, architecture) for architecture in ARCHITECTURES}


@pytest.fixture(scope="session")
def computed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of a made-up run of two pairs with everything in it. Read only: copy it before changing it."""
    from support.made_runs import write_computed_run

    return write_computed_run(tmp_path_factory.mktemp("computed_run") / "run.duckdb")


@pytest.fixture(scope="session")
def published_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of the published 4×4 figures, with its claims. Read only: copy it before changing it."""
    from support.made_runs import PUBLISHED

    from nlareport.review.sources import import_figures

    path = tmp_path_factory.mktemp("published_run") / "run.duckdb"
    import_figures(PUBLISHED, path)
    return path


@pytest.fixture(scope="session")
def scripted_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run file of 9 items on two scripted pairs, computed through every stage, with its vectors and experiment.

    Read only: copy its folder before changing anything.
    """
    from support.scripted_runs import run, scripted_content, write_corpus, write_experiment

    folder = tmp_path_factory.mktemp("scripted_run")
    write_corpus(folder, 20)
    run(write_experiment(folder, scripted_content(9)), folder / "run.duckdb")
    return folder / "run.duckdb"


@pytest.fixture(scope="session")
def computed_report(computed_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report of `computed_run`, as `nlareport render` writes it. Read only."""
    from nlareport.publish import publish_run

    return publish_run(computed_run, tmp_path_factory.mktemp("computed_report")).parent


@pytest.fixture(scope="session")
def published_report(published_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report of `published_run`, as `nlareport render` writes it. Read only."""
    from nlareport.publish import publish_run

    return publish_run(published_run, tmp_path_factory.mktemp("published_report")).parent


@pytest.fixture(scope="session")
def site_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own site with a page of every kind, built once. Read it only."""
    from support.sites import build_site_project

    return build_site_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one browser of all tests, without a window. Each test takes a context or a page of its own, and closes it."""
    from support.browsers import chromium

    with chromium() as browser:
        yield browser
