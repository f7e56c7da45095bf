from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from support.tiny_checkpoints import Architecture, TinyPair


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of real models first: they are the longest, and one process alone then builds what they share."""
    items.sort(key=lambda item: item.path.name != "test_pairs.py")


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
def site_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own site with a page of every kind, built once. Read it only."""
    from support.site_project import build_site_project

    return build_site_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one browser of all tests, without a window. Each test takes a context or a page of its own, and closes it."""
    from support.rendered_reports import chromium

    with chromium() as browser:
        yield browser
