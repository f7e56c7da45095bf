"""The workflows of GitHub Actions: every `run:` step is run as it stands, but that `make` only says what it would do.

`make lint` checks the same files against GitHub's schema.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
STEP_OUTPUT = re.compile(r"steps\.([\w-]+)\.outputs\.\w+")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


@pytest.fixture
def dry_make(tmp_path: Path) -> str:
    """A PATH on which `make` prints its commands, complains of variables nobody set, and carries nothing out."""
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} --dry-run --warn-undefined-variables "$@"\n')
    make.chmod(0o755)
    return f"{make.parent}{os.pathsep}{os.environ['PATH']}"


def faults(workflow: dict[str, Any], path: str) -> list[str]:
    """What is wrong with the steps of a workflow: those that fail, and outputs of steps that are not there."""
    found = []
    for name, job in workflow["jobs"].items():
        ids: set[str] = set()
        for step in job["steps"]:
            env = {**workflow.get("env", {}), **job.get("env", {}), **step.get("env", {})}
            for expression in EXPRESSION.findall(str({**step, "env": env})):
                output = STEP_OUTPUT.fullmatch(expression)
                if output is None or output[1] not in ids:
                    found.append(f"{name}: ${{{{ {expression} }}}} is no output of an earlier step")
            ids.add(step.get("id", ""))
            if "run" in step:
                found += [f"{name}: {fault}" for fault in _faults_of_command(step["run"], env, path)]
    return found


def _faults_of_command(command: str, env: dict[str, str], path: str) -> list[str]:
    """What a shell as GitHub starts it says of a command; it must not ask for a variable that nobody sets."""
    given = {name: EXPRESSION.sub("text", value) for name, value in env.items()}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={"PATH": path, "HOME": os.environ["HOME"], "CI": "true", **given},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if line]
    # A target that is only the name of a folder, such as `tests`, succeeds and does nothing.
    said += [line for line in done.stdout.splitlines() if "Nothing to be done" in line]
    return said or [f"exit code {done.returncode}"] * (done.returncode != 0)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_run_step_works_as_it_stands_as_far_as_the_commands_that_make_would_start(
    name: str, dry_make: str
) -> None:
    workflow = read(name)
    assert faults(workflow, dry_make) == []
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert any("run" in step for step in steps)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"run": "make tets"}, "No rule to make target"),
        ({"run": "make tests"}, "Nothing to be done for"),
        ({"run": ".ci/runs"}, "No such file or directory"),
        ({"run": 'make site OUT="$OUT"'}, "OUT: unbound variable"),
        ({"run": "test -d nowhere"}, "exit code 1"),
        ({"run": "make site", "env": {"NLAREPORT_SITE_URL": "${{ steps.page.outputs.url }}"}}, "no output of an ear"),
    ],
)
def test_a_step_that_cannot_work_is_found(step: dict[str, Any], fault: str, dry_make: str) -> None:
    workflow = {"jobs": {"build": {"steps": [{"id": "pages", "uses": "actions/configure-pages@v5"}, step]}}}
    found = faults(workflow, dry_make)
    assert len(found) == 1
    assert fault in found[0]


def test_workflows_name_variables_that_are_read_and_files_that_are_written() -> None:
    makefile, mkdocs = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "mkdocs.yml"))
    for name in WORKFLOWS:
        workflow = read(name)
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        for variable in {**workflow.get("env", {}), **{key: 1 for step in steps for key in step.get("env", {})}}:
            assert re.search(rf"^{variable} \?=", makefile, re.MULTILINE) or f"!ENV [{variable}," in mkdocs, variable
        for path in [step["with"]["path"] for step in steps if "upload" in step.get("uses", "")]:
            assert path in makefile or f"site_dir: {path}" in mkdocs, path


def test_the_quick_tests_leave_out_by_marks_that_are_declared(pytestconfig: pytest.Config) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    left_out = re.search(r'-m "not \((.*)\)"', makefile)
    assert left_out
    declared = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert set(left_out[1].split(" or ")) <= declared
