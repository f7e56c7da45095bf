"""Writes the table of licences in site/pages/licences.md: each package locked for this platform with its own statement.

Run it in the environment of the tests, which holds all of them. With `--check` it only says what is stale.
"""

import re
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "site/pages/licences.md"
LOCKS = {"run": "running", "test": "testing", "site": "the site"}
START, END = "<!-- made by .ci/licences.py -->", "<!-- end -->"
CLASSIFIER = "License :: OSI Approved :: "
LONGEST = 60
"""Characters. Anything longer is the licence's text instead of its name."""


def main() -> int:
    """0 if the page is up to date, else 1."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    wanted = f"{before}{START}\n\n{table()}\n{END}{rest.partition(END)[2]}"
    if "--check" in sys.argv[1:]:
        if wanted != page:
            print(f'{PAGE.relative_to(ROOT)}: is out of date; run "make lock".', file=sys.stderr)
        return int(wanted != page)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def table() -> str:
    """One row a package: name, version, licence and what it is needed for."""
    rows = ["| package | version | licence | needed for |", "| --- | --- | --- | --- |"]
    for name, (version, needs) in sorted(locked_packages().items()):
        rows.append(f"| {name} | {version} | {licence(name, version)} | {', '.join(needs)} |")
    return "\n".join(rows) + "\n"


def locked_packages() -> dict[str, tuple[str, list[str]]]:
    """Version and uses of every locked package, and of torch, which is in no lock."""
    torch = re.search(r"^TORCH_RELEASE := torch==(\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if torch is None:
        raise SystemExit("Makefile: names no version of torch.")
    found = {"torch": (torch[1], ["running", "testing"])}
    for lock, use in LOCKS.items():
        text = (ROOT / f".ci/locks/{lock}.txt").read_text(encoding="utf-8")
        for line in re.findall(r"^[A-Za-z0-9].*?(?= *\\$)", text, re.MULTILINE):
            package = Requirement(line)
            # Locks are for all platforms; packages that this one does not need are not installed.
            if package.marker is None or package.marker.evaluate():
                found.setdefault(package.name, (str(package.specifier).removeprefix("=="), []))[1].append(use)
    return found


def licence(name: str, version: str) -> str:
    """The licence as the installed package states it.

    Raises:
        SystemExit: another version is installed, or the package states none.
    """
    installed = distribution(name)
    if installed.version.partition("+")[0] != version:
        raise SystemExit(f"{name}: {installed.version} is installed, {version} is locked; run make again.")
    if (stated := _stated(installed)) is None:
        raise SystemExit(f"{name} {version}: states no licence; look at it before it is locked.")
    return stated


def _stated(installed: Distribution) -> str | None:
    """Expression, classifiers or the old field, whichever there is first; a file that tells for want of all three."""
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    if classified := [
        entry.removeprefix(CLASSIFIER)
        for entry in metadata.get_all("Classifier") or []
        if entry.startswith(CLASSIFIER) and entry != CLASSIFIER.strip(" :")
    ]:
        return ", ".join(classified)
    field = (metadata.get("License") or "").strip().splitlines()
    if field and len(field[0]) <= LONGEST:
        return field[0]
    for file in installed.files or []:
        if re.match(r"licen[cs]e|copying", file.name, re.IGNORECASE):
            heading = file.read_text(encoding="utf-8").strip().splitlines()
            if heading:
                return heading[0].strip(" #=*")[:LONGEST]
    return None


if __name__ == "__main__":
    raise SystemExit(main())
