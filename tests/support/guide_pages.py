"""Follows a guide page as a reader would: writes the files it shows, runs its commands, compares what they print.

In a section of the page, a fenced block with a ``title`` is a file to write, a ``sh`` block is run by bash, and a
``text`` block after it is what those commands print (a line ``…`` stands for any lines). A block in another language
and without a title is only shown.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PAGES = Path(__file__).parents[2] / "site" / "pages"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One block of a section that a reader acts on."""

    kind: Literal["file", "commands", "output"]
    text: str
    name: str | None = None
    """Of a file."""


def sections(page: str) -> dict[str, list[Step]]:
    """The steps under every heading of the second level of a page in `site/pages/`."""
    parts = _HEADING.split((PAGES / page).read_text(encoding="utf-8"))
    return {heading: list(_steps(text)) for heading, text in zip(parts[1::2], parts[2::2], strict=True)}


def follow(steps: list[Step], folder: Path) -> None:
    """Does what a section says, in a folder that holds what the section says its reader has."""
    printed = ""
    for step in steps:
        match step.kind:
            case "file":
                path = folder / (step.name or "")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
            case "commands":
                printed = run_commands(step.text, folder)
            case "output":
                assert is_as_shown(printed, step.text), f"printed:\n{printed}\nshown on the page:\n{step.text}"


def run_commands(commands: str, folder: Path) -> str:
    """What the commands print, to stdout and stderr; one that fails fails the test with it."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": tools, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\nended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def is_as_shown(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed, apart from spaces at the ends of lines."""
    lines = [r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()) + "\n" for line in shown.splitlines()]
    told = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch("".join(lines), told) is not None


def _steps(text: str) -> Iterator[Step]:
    for language, name, body in _BLOCK.findall(text):
        if name:
            yield Step("file", body, name)
        elif language == "sh":
            yield Step("commands", body)
        elif language == "text":
            yield Step("output", body)
