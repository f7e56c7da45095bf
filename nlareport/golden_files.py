"""Reads and writes golden files: texts, explanations and recorded scores that a pair is compared with.

Takes a YAML file in nlareport's own form or a transcript of the public release, returns a `Golden`, or raises one error
that lists every fault. Knows no model.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from nlareport.errors import GoldenInvalid
from nlareport.experiment.section import MOST_WHOLE, ForeignName, Name, Section
from nlareport.files.given_files import text_given
from nlareport.files.yaml_files import mapping_in, text_of, validation_faults, yaml_text

ADVICE = "Give a golden file (YAML) or a transcript of the public release (TXT)."
MOST_BYTES = 10_000_000
"""Of a transcript; released ones have 140 kB."""

Dtype = Literal["float32", "bfloat16", "float16"]


class GoldenCase(Section):
    """A place in a text, an explanation of it, and how well it was recorded to be recovered."""

    pair: Name | None = None
    """A pair of the experiment. None: whichever is asked for."""
    name: ForeignName
    text: str = Field(min_length=1, max_length=1_000_000)
    token_index: int | None = Field(default=None, ge=0, le=MOST_WHOLE)
    """Which token of the text is meant. None: the last."""
    token: str | None = None
    """What that token says. None when it is not recorded."""
    explanation: str | None = None
    """What the reconstructor reads. None in a file that is still to be recorded."""
    mse_nrm: float | None = Field(default=None, ge=0, le=4)
    """None in a file that is still to be recorded."""
    activation_norm: float | None = Field(default=None, gt=0)
    """Norm of the raw activation. None when it is not recorded."""


class Golden(Section):
    """Everything recorded of one or more pairs."""

    golden: Name
    source: str
    """Who recorded these figures, and with what."""
    dtype: Dtype = "bfloat16"
    """In which they were recorded."""
    decimals: int | None = Field(default=None, ge=0, le=20)
    """How many were recorded of `mse_nrm`. None: all."""
    cases: list[GoldenCase] = Field(min_length=1, max_length=10_000)


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a transcript says of the pair that it is of."""

    reconstructor: str
    block_index: int
    d_model: int


def read_golden(path: Path) -> tuple[Golden, Recorder | None]:
    """What a golden file records; of a transcript also the pair it is of.

    Raises:
        GoldenInvalid: the file is missing, or has faults; every fault is listed.
    """
    if path.suffix in (".yaml", ".yml"):
        content = mapping_in(
            yaml_text(path, GoldenInvalid, ADVICE), path, GoldenInvalid, "golden file", "golden, cases"
        )
        return _validated(content, path), None
    return _transcript(text_given(path, GoldenInvalid, ADVICE, MOST_BYTES), path)


def golden_text(golden: Golden) -> str:
    """The file that `read_golden` reads back."""
    return text_of(golden.model_dump(mode="json", exclude_none=True))


def _validated(content: object, path: Path) -> Golden:
    try:
        return Golden.model_validate(content)
    except ValidationError as error:
        raise GoldenInvalid("\n".join(validation_faults(error, path))) from error


# Transcripts --------------------------------------------------------------------------------------------------------

# One token's line: its place, whose it is, what it says, then figures with three decimals.
_TOKEN = re.compile(
    r"^\[ *(?P<index>\d+)\] +(?:PROMPT|REPLY) +token=(?P<token>.+?) +"
    r"\|\|v\|\|=(?P<norm>[\d.]+) +mse_nrm=(?P<mse>[\d.]+) "
)
_FACTS = {
    "reconstructor": re.compile(r"^AR checkpoint: +(\S+)$", re.MULTILINE),
    "block_index": re.compile(r"^Extraction: +layer (\d+) ", re.MULTILINE),
    "d_model": re.compile(r"^d_model: +(\d+)$", re.MULTILINE),
    "prompt": re.compile(r"^After apply_chat_template.*\n +(['\"].*['\"])$", re.MULTILINE),
    "reply": re.compile(r"^2\. BASE MODEL REPLY.*\n.*\n\n +(['\"].*['\"])$", re.MULTILINE),
}
DECIMALS = 3


def _transcript(text: str, path: Path) -> tuple[Golden, Recorder]:
    found = {name: pattern.search(text) for name, pattern in _FACTS.items()}
    if lacking := [name for name, match in found.items() if match is None]:
        raise GoldenInvalid(f"{path}: is no transcript of the public release: it lacks {', '.join(lacking)}. {ADVICE}")
    facts = {name: match[1] for name, match in found.items() if match is not None}
    recorder = Recorder(facts["reconstructor"], int(facts["block_index"]), int(facts["d_model"]))
    rows = list(_rows(text))
    whole = _quoted(facts["prompt"], path) + _quoted(facts["reply"], path)
    # The token that ends the reply is missing from its text.
    last = _quoted(rows[-1][0]["token"], path) if rows else ""
    if last.startswith("<") and not whole.endswith(last):
        whole += last
    cases = [
        {
            "name": f"token {match['index']}",
            "text": whole,
            "token_index": int(match["index"]),
            "token": _quoted(match["token"], path),
            "explanation": explanation,
            "mse_nrm": float(match["mse"]),
            "activation_norm": float(match["norm"]),
        }
        for match, explanation in rows
    ]
    content = {
        "golden": "transcript",
        "source": f"{path.name}, a transcript of the public release",
        "decimals": DECIMALS,
        "cases": cases,
    }
    return _validated(content, path), recorder


def _rows(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Every token's line with the text below it, which is indented by four spaces."""
    lines = text.splitlines()
    starts = [(number, match) for number, line in enumerate(lines) if (match := _TOKEN.match(line))]
    for number, match in starts:
        below = []
        for line in lines[number + 1 :]:
            if not line.startswith("    "):
                break
            below.append(line[4:])
        yield match, "\n".join(below).strip()


def _quoted(literal: str, path: Path) -> str:
    """The text of a Python literal."""
    try:
        text = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise GoldenInvalid(f"{path}: holds {literal[:40]}…, which is no quoted text. {ADVICE}") from error
    if not isinstance(text, str):
        raise GoldenInvalid(f"{path}: holds {literal[:40]}, which is no quoted text. {ADVICE}")
    return text
