"""Finds a Chrome or Chromium for the tests, and installs one where none is there.

python tests/support/browser_search.py

Looked for in this order: what NLAREPORT_TEST_BROWSER names, a browser on PATH, one in the usual places of the platform,
one that playwright downloaded before. Where there is none, Debian's package manager installs one if it may, and
playwright downloads one otherwise. A browser from a snap is passed over: it cannot read /tmp, where tests write pages.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHOICE = "NLAREPORT_TEST_BROWSER"
NAMES = ("chromium", "google-chrome-stable", "google-chrome", "chrome", "chromium-browser")
PLACES = {
    "Linux": (
        "/usr/bin/chromium",
        "/usr/lib/chromium/chromium",
        "/usr/bin/google-chrome-stable",
        "/opt/google/chrome/chrome",
        "/usr/bin/chromium-browser",
    ),
    "Darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/opt/homebrew/bin/chromium",
    ),
}
"""Where browsers lie that are not on PATH, by what `platform.system()` says."""
OWN_BROWSER = "from playwright.sync_api import sync_playwright as p\nwith p() as it: print(it.chromium.executable_path)"
ANSWER_S, INSTALL_S = 60, 900
"""Seconds after which a question or an installation has failed."""


class NoBrowser(Exception):
    """No browser is there and none could be installed; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """A browser that starts."""

    path: Path
    version: str
    how: str
    """Where it was found, or what installed it."""


@dataclass
class Machine:
    """What the search looks at and may use."""

    system: str
    """As `platform.system()` says it: Linux or Darwin."""
    environment: Mapping[str, str]
    root: Path = Path("/")
    """What absolute places are below."""
    is_superuser: bool = False
    python: str = sys.executable
    """Its playwright is asked for a browser of its own."""
    passed_over: list[str] = field(default_factory=list)
    """What looked like a browser and why it is none for the tests."""
    tried: list[str] = field(default_factory=list)
    """Installations that failed."""

    @property
    def distribution(self) -> str:
        """The name that a Linux gives itself, such as debian or ubuntu; empty where there is none."""
        try:
            lines = (self.root / "etc/os-release").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
        return next((line[3:].strip("\"'") for line in lines if line.startswith("ID=")), "")

    def command(self, name: str) -> str | None:
        """The path of a command, where PATH has it."""
        return shutil.which(name, path=self.environment.get("PATH", ""))

    def below_root(self, place: str) -> Path:
        """A place as it is on this machine; `~` is the home folder."""
        if place.startswith("~/"):
            return Path(self.environment.get("HOME", ""), place[2:])
        return self.root / place.lstrip("/")

    def answer(self, *command: str) -> str | None:
        """What a command prints; None when it fails, cannot be started or takes too long."""
        try:
            ended = subprocess.run(
                command, env=dict(self.environment), capture_output=True, text=True, check=True, timeout=ANSWER_S
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return ended.stdout.strip()

    def carry_out(self, *command: str) -> bool:
        """Runs a command whose progress a person may watch on stderr; False when it did not do its work."""
        print(f"No browser for the tests yet: {' '.join(command)}", file=sys.stderr, flush=True)
        try:
            subprocess.run(command, env=dict(self.environment), stdout=sys.stderr, check=True, timeout=INSTALL_S)
        except (OSError, subprocess.SubprocessError):
            return False
        return True


def this_machine() -> Machine:
    return Machine(platform.system(), os.environ, is_superuser=os.geteuid() == 0)


def find_browser(machine: Machine) -> Found | None:
    """The first browser that is there, starts, and can read the pages of the tests."""
    for path, how in _candidates(machine):
        if not path.is_file():
            continue
        if is_snap(path):
            machine.passed_over.append(f"{path} is a snap, which cannot read /tmp")
            continue
        version = machine.answer(str(path), "--version")
        if version is not None:
            return Found(path, version, how)
        machine.passed_over.append(f"{path} does not start")
    return None


def _candidates(machine: Machine) -> Iterator[tuple[Path, str]]:
    """Paths that may be a browser, with how each was found."""
    if chosen := machine.environment.get(CHOICE):
        yield Path(chosen), f"named by {CHOICE}"
        return
    for name in NAMES:
        if path := machine.command(name):
            yield Path(path), "on PATH"
    for place in PLACES.get(machine.system, ()):
        yield machine.below_root(place), "in its usual place"
    if own := machine.answer(machine.python, "-c", OWN_BROWSER):
        yield Path(own), "downloaded by playwright"


def is_snap(path: Path) -> bool:
    """Is it the browser of a snap, or Ubuntu's script that starts one?"""
    if "snap" in path.parts or path.resolve().name == "snap":
        return True
    with path.open("rb") as file:
        start = file.read(4096)
    return start.startswith(b"#!") and b"/snap/" in start


def find_or_install(machine: Machine) -> Found:
    """A browser that is there, or one that was installed now.

    Raises:
        NoBrowser: none is there and none could be installed.
    """
    if found := find_browser(machine):
        return found
    if CHOICE not in machine.environment:
        for way, commands in _installations(machine):
            if all(machine.carry_out(*command) for command in commands) and (found := find_browser(machine)):
                return Found(found.path, found.version, f"installed by {way}")
            machine.tried.append(way)
    raise NoBrowser(_complaint(machine))


def _installations(machine: Machine) -> Iterator[tuple[str, list[list[str]]]]:
    """Ways to install a browser here, best first: a name and its commands."""
    sudo = _sudo(machine)
    # Ubuntu's package of that name only installs the snap.
    if machine.distribution == "debian" and machine.command("apt-get") and sudo is not None:
        yield "apt-get", [[*sudo, "apt-get", "update", "-qq"], [*sudo, "apt-get", "install", "-y", "-qq", "chromium"]]
    install = [machine.python, "-m", "playwright", "install", "--no-shell"]
    if machine.system == "Linux" and sudo is not None:
        yield "playwright --with-deps", [[*install, "--with-deps", "chromium"]]
    yield "playwright", [[*install, "chromium"]]


def _sudo(machine: Machine) -> list[str] | None:
    """What a command starts with that installs for the whole machine; None where that takes a password."""
    if machine.is_superuser:
        return []
    if machine.command("sudo") and machine.answer("sudo", "-n", "true") is not None:
        return ["sudo", "-n"]
    return None


def _complaint(machine: Machine) -> str:
    passed_over = "; ".join(dict.fromkeys(machine.passed_over))
    looked = f"no browser for the tests was found{f' ({passed_over})' if passed_over else ''}"
    tried = f", and installing one by {', by '.join(machine.tried)} failed" if machine.tried else ""
    return f"{looked}{tried}; install Chrome or Chromium, or set {CHOICE} to the path of one."


def main() -> None:
    try:
        found = find_or_install(this_machine())
    except NoBrowser as error:
        raise SystemExit(f"error: {error}") from None
    print(f"Browser of the tests: {found.path} ({found.version}), {found.how}")


if __name__ == "__main__":
    main()
