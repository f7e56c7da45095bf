"""Tries every command of an installed nlareport in an empty folder, with nothing but the package.

Run it with the Python that nlareport is installed for. It stops at the first command that fails, and asks the package
for its commands, so that a new one is not forgotten.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NLAREPORT = Path(sys.executable).with_name("nlareport")
SENTENCE = "the river bank of the old town rose by 14 metres in spring and people said it was over again"
EXPERIMENT = {
    "experiment": "tried",
    "title": "Every command tried",
    "corpus": {"kind": "local", "name": "made-up", "path": "documents.jsonl"},
    "sampling": {"seed": 3, "n_items": 8, "reference_pair": "small"},
    "compute": {"batch_size": 4, "dtype": "float32"},
    "scoring": {"bootstrap_draws": 200},
    "pairs": [
        {
            "pair_id": pair_id,
            "label": pair_id,
            "family": pair_id,
            "base_model": f"none/{pair_id}",
            "block_index": 1,
            "d_model": width,
            "verbalizer": "none",
            "reconstructor": "none",
        }
        for pair_id, width in (("small", 16), ("large", 24))
    ],
}
TRIED: set[str] = set()


def main() -> None:
    """Runs every command once, most of them on the output of an earlier one."""
    # Nothing from this checkout, the user's settings or an earlier build may help.
    for name in [name for name in os.environ if name.startswith(("NLAREPORT_", "PYTHON"))]:
        del os.environ[name]
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["NLAREPORT_CACHE"] = str(Path(folder, "cache"))
        Path("documents.jsonl").write_text("".join(json.dumps({"text": _text(n)}) + "\n" for n in range(12)))
        # JSON is YAML.
        Path("experiment.yaml").write_text(json.dumps(EXPERIMENT))
        said = done("run", "experiment.yaml", "--db", "run.duckdb", "--engine", "scripted")
        assert "8 items, 16 explanations, 32 scores" in said, said
        done("render", "run.duckdb", "--out", "report")
        assert Path("report/index.html").exists()
        assert "small" in done("query", "run.duckdb", "matrix", "--param", "subset=all", "--format", "csv")
        done("export", "run.duckdb", "--out", "bundle", "--format", "csv")
        done("import", "bundle", "--db", "again.duckdb")
        done("diff", "run.duckdb", "again.duckdb", "--out", "comparison")
        assert Path("comparison/index.html").exists()
        done("check", "run.duckdb")
        serve("run.duckdb")
        assert "smollm2-L20" in done("pairs", "list")
        # Commands that need a checkout are refused in one sentence.
        refused("site")
        refused("pairs", "build")
        refused("pairs", "verify")
        stopped("pairs", "train", "smollm2-L20")
        wanted = commands()
        assert wanted <= TRIED, f"never tried: {wanted - TRIED}"
    print(f"{len(wanted)} commands tried: {', '.join(sorted(wanted))}")


def done(*arguments: str) -> str:
    """What a command that must succeed wrote to stdout."""
    code, out, error = run(arguments)
    assert code == 0, f"{arguments}: ended in {code}: {error}"
    return out


def refused(*arguments: str) -> None:
    """A command that must end in one sentence and exit code 1."""
    code, _, error = run(arguments)
    said = [line for line in error.splitlines() if line.startswith("nlareport: ")]
    assert code == 1, f"{arguments}: ended in {code}: {error}"
    assert len(said) == 1, f"{arguments}: said {error}"
    assert "Traceback" not in error, f"{arguments}: said {error}"


def stopped(*arguments: str) -> None:
    """A command that would take hours: it starts, and Ctrl-C ends it with one sentence."""
    note(arguments)
    with started(*arguments) as begun:
        assert begun.stderr.readline()
        begun.send_signal(signal.SIGINT)
        last = begun.stderr.read().splitlines()[-1]
        # If the interrupt arrives while Python exits, the signal itself ends it.
        assert begun.wait(timeout=60) in (1, -signal.SIGINT)
        assert last == "nlareport: stopped before it was done; give the same command again.", last


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is running; it is killed if it is still there at the end.

    A script in the background ignores Ctrl-C, and what it starts would too.
    """
    process = subprocess.Popen(
        [NLAREPORT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    note(arguments)
    ended = subprocess.run([NLAREPORT, *arguments], capture_output=True, text=True, timeout=600, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def serve(file: str) -> None:
    """The preview serves the report, and Ctrl-C ends it."""
    note(["serve"])
    with started("serve", file, "--port", "0") as preview:
        address = preview.stdout.readline().split()[-1]
        with urllib.request.urlopen(address) as answer:
            assert EXPERIMENT["title"] in answer.read().decode()
        preview.send_signal(signal.SIGINT)
        assert preview.wait(timeout=60) == 0


def note(arguments: Sequence[str]) -> None:
    """Remembers that a command was tried, under its name."""
    TRIED.add(" ".join(arguments[: 2 if arguments[0] == "pairs" else 1]))


def commands() -> set[str]:
    """The names of all commands, those of a group with the group's."""
    found = listed(run(["--help"])[1])
    return (found | {f"pairs {name}" for name in listed(run(["pairs", "--help"])[1])}) - {"pairs"}


def listed(help_text: str) -> set[str]:
    """The commands that a help text lists."""
    return set(re.findall(r"^  ([a-z][a-z-]*)", help_text.partition("Commands:")[2], re.MULTILINE))


def _text(number: int) -> str:
    words = SENTENCE.split()
    return " ".join(words[(number * 7 + place) % len(words)] for place in range(90))


if __name__ == "__main__":
    main()
