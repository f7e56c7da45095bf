"""What is installed, carried along and handed out: locked, licensed and told of."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / ".ci/locks").glob("*.txt"))


def locked(lock: Path) -> dict[str, tuple[Requirement, list[str]]]:
    """Every requirement of a lock with the digests of its files, by its line."""
    entries = re.findall(
        r"^([A-Za-z0-9].*?) \\\n((?:    --hash=.*\n)+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {line: (Requirement(line), re.findall(r"sha256:([0-9a-f]{64})", digests)) for line, digests in entries}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_one_version_with_digests_and_names_no_address(lock: Path) -> None:
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("    --hash")]
    entries = locked(lock)
    assert len(entries) == len(lines) > 10
    assert all(digests for _, digests in entries.values())
    assert all(re.fullmatch(r"==[^,*]+", str(package.specifier)) for package, _ in entries.values())
    assert not re.search(r"https?:|index-url|find-links", lock.read_text(encoding="utf-8"))


def test_the_locks_agree_with_each_other() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for lock in LOCKS:
        # The tools that look after dependencies live in an environment of their own.
        for package, _ in locked(lock).values() if lock.stem != "audit" else ():
            versions.setdefault((package.name, str(package.marker)), set()).add(str(package.specifier))
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


def test_every_package_that_is_asked_for_is_locked_where_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    base = project["project"]["dependencies"]
    asked = {
        "run": base + extras["pairs"] + groups["build"],
        "test": base
        + [requirement for extra in ("pairs", "hub", "test") for requirement in extras[extra]]
        + [requirement for group in ("build", "dist", "coverage", "mutation") for requirement in groups[group]],
        "site": groups["site"] + groups["build"],
        "audit": groups["audit"],
    }
    assert asked.keys() == {lock.stem for lock in LOCKS}
    for lock in LOCKS:
        held = {package.name: package.specifier for package, _ in locked(lock).values()}
        for requirement in map(Requirement, asked[lock.stem]):
            name = requirement.name.lower().replace("_", "-")
            # The one package of which every machine has its own build.
            if name == "torch":
                assert name not in held
                continue
            (version,) = (pinned.version for pinned in held[name])
            assert requirement.specifier.contains(version), f"{lock.stem}: {requirement} against {version}"


def test_make_installs_torch_in_a_version_that_is_asked_for() -> None:
    torch = re.search(r"^TORCH_RELEASE := torch==(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = re.search(r'"torch([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert torch
    assert asked
    assert Requirement(f"torch{asked[1]}").specifier.contains(torch[1])


def test_the_licence_page_tells_of_every_locked_package_and_all_that_is_carried_along() -> None:
    page = (ROOT / "site/pages/licences.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([a-z0-9._-]+) \| ([^ |]+) \| [^|\s][^|]+ \|", page, re.MULTILINE))
    for lock in LOCKS:
        for package, _ in locked(lock).values() if lock.stem != "audit" else ():
            if package.marker is None or package.marker.evaluate():
                assert f"=={told.get(package.name)}" == str(package.specifier)
    for carried in [
        *ROOT.glob("templates/report/vendor/*.js*"),
        *ROOT.glob("data/pairs/*"),
        *ROOT.glob("data/*.duckdb"),
    ]:
        assert carried.name in page, f"{carried} is carried along and has no row"
