"""Which browser the tests take on machines other than this one: folders that stand in for Debian, Ubuntu and macOS.

Their programs are scripts that do what the real ones do as far as the search can tell.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import browser_search
from support.browser_search import CHOICE, Machine, NoBrowser, find_browser, find_or_install

BROWSER = "#!/bin/sh\necho Chromium 150.0\n"
REFUSING = "#!/bin/sh\nexit 1\n"


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Debian with nothing on it, for a user without rights; its python has a playwright that reaches nothing."""
    (tmp_path / "bin").mkdir()
    os_release(tmp_path, "debian")
    python = write_program(tmp_path / "python", REFUSING)
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}
    return Machine("Linux", environment, tmp_path, python=str(python))


def os_release(root: Path, name: str) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/os-release").write_text(f'PRETTY_NAME="A Linux"\nID={name}\nVERSION_ID="1"\n')


def writing(root: Path, place: str) -> str:
    """A program that notes how it was called, and puts a browser in a place when it is told to install one."""
    return f"""#!/bin/sh
PATH=/usr/bin:/bin
echo "$(basename "$0") $*" >> {root}/called
case "$*" in
*install*)
    mkdir -p "$(dirname "{root}/{place}")"
    printf '%s' '{BROWSER}' > "{root}/{place}"
    chmod 755 "{root}/{place}" ;;
*executable_path*) echo "{root}/{place}" ;;
esac
"""


def called(machine: Machine) -> list[str]:
    path = machine.root / "called"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("name", ["chromium", "google-chrome-stable", "google-chrome", "chromium-browser"])
def test_a_browser_on_path_is_taken_by_its_name(name: str, machine: Machine) -> None:
    path = write_program(machine.root / "bin" / name, BROWSER)
    found = find_or_install(machine)
    assert (found.path, found.version, found.how) == (path, "Chromium 150.0", "on PATH")


@pytest.mark.parametrize(
    ("system", "place"),
    [
        ("Linux", "usr/lib/chromium/chromium"),
        ("Linux", "opt/google/chrome/chrome"),
        ("Darwin", "Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
        ("Darwin", "home/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
    ],
)
def test_a_browser_that_is_not_on_path_is_found_where_its_platform_has_it(
    system: str, place: str, machine: Machine
) -> None:
    machine.system = system
    path = write_program(machine.root / place, BROWSER)
    assert find_or_install(machine).path == path
    machine.system = "Linux" if system == "Darwin" else "Darwin"
    assert find_browser(machine) is None


def test_a_chosen_browser_is_the_only_one_that_is_asked(machine: Machine) -> None:
    write_program(machine.root / "bin/chromium", BROWSER)
    chosen = write_program(machine.root / "my browser", BROWSER)
    machine.environment = {**machine.environment, CHOICE: str(chosen)}
    assert find_or_install(machine).path == chosen
    chosen.write_text(REFUSING)
    with pytest.raises(NoBrowser, match=r"my browser does not start\); install Chrome or Chromium, or set"):
        find_or_install(machine)


@pytest.mark.parametrize("kind", ["link", "script", "folder"])
def test_the_browser_of_a_snap_is_passed_over_for_another(kind: str, machine: Machine) -> None:
    os_release(machine.root, "ubuntu")
    if kind == "link":
        snap = write_program(machine.root / "usr/bin/snap", BROWSER)
        (machine.root / "bin/chromium").symlink_to(snap)
    elif kind == "script":
        write_program(machine.root / "bin/chromium", '#!/bin/sh\nexec /snap/bin/chromium "$@"\n')
    else:
        write_program(machine.root / "snap/bin/chromium", BROWSER)
        machine.environment = {**machine.environment, "PATH": f"{machine.root}/snap/bin:{machine.root}/bin"}
    with pytest.raises(NoBrowser, match="is a snap, which cannot read /tmp"):
        find_or_install(machine)
    chrome = write_program(machine.root / "bin/google-chrome", BROWSER)
    assert find_or_install(machine).path == chrome


def test_a_browser_that_does_not_start_is_passed_over(machine: Machine) -> None:
    write_program(machine.root / "bin/chromium", REFUSING)
    chrome = write_program(machine.root / "usr/bin/google-chrome-stable", BROWSER)
    assert find_or_install(machine).path == chrome
    assert machine.passed_over == [f"{machine.root}/bin/chromium does not start"]


def test_debians_package_manager_is_asked_where_it_may_install(machine: Machine) -> None:
    write_program(machine.root / "bin/apt-get", writing(machine.root, "bin/chromium"))
    machine.is_superuser = True
    assert find_or_install(machine).how == "installed by apt-get"
    assert called(machine) == ["apt-get update -qq", "apt-get install -y -qq chromium"]


def test_a_user_whose_sudo_asks_for_no_password_may_install_too(machine: Machine) -> None:
    write_program(machine.root / "bin/apt-get", writing(machine.root, "bin/chromium"))
    write_program(machine.root / "bin/sudo", '#!/bin/sh\nshift\nPATH=$PATH:/usr/bin:/bin exec "$@"\n')
    assert find_or_install(machine).how == "installed by apt-get"


def test_without_rights_playwright_downloads_a_browser(machine: Machine) -> None:
    write_program(machine.root / "bin/apt-get", writing(machine.root, "bin/chromium"))
    write_program(machine.root / "bin/sudo", REFUSING)
    write_program(Path(machine.python), writing(machine.root, "cache/chrome"))
    found = find_or_install(machine)
    assert (found.path, found.how) == (machine.root / "cache/chrome", "installed by playwright")
    installs = [line for line in called(machine) if "install" in line]
    assert installs == ["python -m playwright install --no-shell chromium"]
    assert find_or_install(machine).how == "downloaded by playwright"


def test_ubuntu_with_rights_takes_playwrights_browser_with_its_libraries_and_never_the_snap(machine: Machine) -> None:
    os_release(machine.root, "ubuntu")
    machine.is_superuser = True
    write_program(machine.root / "bin/apt-get", writing(machine.root, "bin/chromium"))
    write_program(Path(machine.python), writing(machine.root, "cache/chrome"))
    assert find_or_install(machine).path == machine.root / "cache/chrome"
    assert not any("apt-get" in line for line in called(machine))
    assert "python -m playwright install --no-shell --with-deps chromium" in called(machine)


def test_where_nothing_helps_one_sentence_says_what_was_tried_and_what_to_do(machine: Machine) -> None:
    write_program(machine.root / "bin/apt-get", REFUSING)
    machine.is_superuser = True
    with pytest.raises(NoBrowser) as refusal:
        find_or_install(machine)
    assert str(refusal.value) == (
        "no browser for the tests was found, and installing one by apt-get, by playwright --with-deps, by playwright "
        f"failed; install Chrome or Chromium, or set {CHOICE} to the path of one."
    )


def test_the_command_says_which_browser_it_took_and_ends_with_1_where_there_is_none(machine: Machine) -> None:
    path = write_program(machine.root / "my browser", BROWSER)
    command = [sys.executable, browser_search.__file__]
    done = subprocess.run(command, env={**os.environ, CHOICE: str(path)}, capture_output=True, text=True, check=False)
    assert done.stdout == f"Browser of the tests: {path} (Chromium 150.0), named by {CHOICE}\n"
    path.unlink()
    done = subprocess.run(command, env={**os.environ, CHOICE: str(path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no browser for the tests was found")
