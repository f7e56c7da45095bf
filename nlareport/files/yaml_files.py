"""Reads and writes every YAML file: each fault becomes a line with file, place and what would be right.

Takes a path or a text; returns a mapping of plain values, or the text of one. How texts are parsed is in `strict_yaml`.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nlareport.errors import NlareportError
from nlareport.files.given_files import text_given
from nlareport.files.strict_yaml import YamlFault, parse_yaml
from nlareport.shown import printable, shown

MOST_BYTES = 1_000_000
"""Of a YAML file. The largest of this project has 20 kB."""

MOST_FAULTS = 20
MOST_FAULT_CHARS = 300


class _ExactDumper(yaml.SafeDumper):
    """Writes every text in a form that reads back as it was."""


def _exact_text(dumper: _ExactDumper, text: str) -> yaml.ScalarNode:
    # Left to itself PyYAML writes these line breaks bare and reads them back as spaces.
    style = '"' if set(text) & set("\r\x85\u2028\u2029\ufeff") else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ExactDumper.add_representer(str, _exact_text)


def yaml_text(path: Path, refusal: type[NlareportError], advice: str, most_bytes: int = MOST_BYTES) -> str:
    """The text of a YAML file; `advice` is the sentence that says which file to give.

    Raises:
        NlareportError: as `refusal`: it is no ordinary file, is too large, or is not UTF-8 text.
    """
    return text_given(path, refusal, advice, most_bytes)


def text_of(content: dict[str, Any]) -> str:
    """The mapping as a YAML text that reads back as it was; its keys keep their order, a text of lines is a block."""
    return yaml.dump(content, Dumper=_ExactDumper, sort_keys=False, allow_unicode=True, width=120)


def mapping_in(text: str, path: Path, refusal: type[NlareportError], what: str, keys: str) -> dict[str, Any]:
    """The mapping a YAML text holds; `what` it should be and some of its `keys` are for the refusal's sentence.

    Raises:
        NlareportError: as `refusal`: the text is not YAML, has a fault of its own, or its top level is not a mapping.
    """
    try:
        content = parse_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise refusal(f"{place}: {_bounded(_said(error))}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refusal(f"{path}, line {line}: holds the control character {error.character:#x}; remove it.") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise refusal(f"{path}: holds no {what}; the top level must be keys such as {keys}.")
    return content


def validation_faults(error: ValidationError, path: Path, kinds: Collection[str] = ()) -> list[str]:
    """One line per fault, the first 20: file, key, what would be right, and what the file says.

    `kinds` are names of what an entry of a list may be, which are no keys of the file.
    """
    found = error.errors(include_url=False)
    lines = [_fault_line(fault, path, kinds) for fault in found[:MOST_FAULTS]]
    if len(found) > MOST_FAULTS:
        lines.append(f"{path}: and {len(found) - MOST_FAULTS:,} more faults.")
    return lines


def _fault_line(fault: Any, path: Path, kinds: Collection[str]) -> str:
    place = fault["loc"]
    # Of a key that may hold one of several mappings pydantic names the mapping, which is called like its own key.
    parts = [
        part
        for number, part in enumerate(place)
        if (part not in kinds or not isinstance(place[max(number - 1, 0)], int))
        and place[number : number + 2] != (part,) * 2
    ]
    key = _bounded(".".join(map(str, parts))) or "the file"
    said = _bounded(fault["msg"].removeprefix("Value error, "))
    match fault["type"]:
        case "extra_forbidden":
            return f"{path}: {key}: is not a known key; remove it or correct its spelling."
        case "missing":
            return f"{path}: {key}: is missing; add it."
        case "string_type" if isinstance(fault["input"], int | float):
            return f"{path}: {key}: should be a text; put {shown(fault['input'])} in quotes."
    if not fault["loc"]:
        return f"{path}: {said}."
    # What two keys of a part say of each other is in the message; the whole part would hide it.
    it_says = "" if isinstance(fault["input"], dict) and fault["type"] == "value_error" else shown(fault["input"])
    return f"{path}: {key}: {said}{it_says and f'; it says {it_says}'}."


def _bounded(text: str) -> str:
    """The text on one line, safe to print, cut where it is long."""
    line = printable(text[: MOST_FAULT_CHARS + 1]).replace("\n", " ").replace("\t", " ")
    return line if len(text) <= MOST_FAULT_CHARS else f"{line[:MOST_FAULT_CHARS]}… ({len(text):,} characters)"


def _said(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, YamlFault):
        return str(error.problem)
    if error.problem and "'\\t'" in error.problem:
        return "is not YAML: a tab is used where YAML wants spaces; indent with spaces"
    return f"is not YAML: {', '.join(part for part in (error.context, error.problem) if part)}"
