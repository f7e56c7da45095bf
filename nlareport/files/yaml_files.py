"""The one way a YAML file is read and written: bounded in size, depth and aliases, each fault a line with its place.

Takes a path or a text; returns a mapping of plain values, or the text of one. Dates, `no`, `010`, `1:30` and `8e4`
stay texts, so that nothing turns into another value in silence; what wants a number reads it from such a text.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nlareport.errors import NlareportError
from nlareport.files.given_files import text_given
from nlareport.shown import printable, shown

MOST_BYTES = 1_000_000
"""Of a YAML file. The largest of this project has 20 kB."""

MOST_LEVELS = 50
MOST_REPEATED = 1_000_000
"""Characters and values that aliases may stand for beyond what is written."""

MOST_FAULTS = 20
MOST_FAULT_CHARS = 300
_MOST_DIGITS = 300

_TAG = "tag:yaml.org,2002:"
# The first pattern that fits a plain scalar gives its type, else it is a text. What YAML 1.1 and 1.2 read alike is a
# number: each writes the texts that only the other would take for one, such as 8e4 and 010, without quotes.
_PLAIN = (
    ("merge", re.compile(r"<<$"), "<"),
    ("null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile(r"([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$"), "-+0123456789"),
    (
        "float",
        re.compile(r"(([-+]?(0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
        "-+0123456789.",
    ),
)


class _ExactDumper(yaml.SafeDumper):
    """Writes every text so that it reads back as it was."""


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
        content = _content(text)
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


def validation_faults(error: ValidationError, path: Path) -> list[str]:
    """One line per fault, the first 20: file, key, what would be right, and what stands there."""
    found = error.errors(include_url=False)
    lines = [_fault_line(fault, path) for fault in found[:MOST_FAULTS]]
    if len(found) > MOST_FAULTS:
        lines.append(f"{path}: and {len(found) - MOST_FAULTS:,} more faults.")
    return lines


def _fault_line(fault: Any, path: Path) -> str:
    key = _bounded(".".join(str(part) for part in fault["loc"])) or "the file"
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
    if isinstance(error, _Fault):
        return str(error.problem)
    if error.problem and "'\\t'" in error.problem:
        return "is not YAML: a tab stands where YAML wants spaces; indent with spaces"
    return f"is not YAML: {', '.join(part for part in (error.context, error.problem) if part)}"


class _Fault(yaml.MarkedYAMLError):
    """Something YAML allows that is not read here, with its place."""

    def __init__(self, problem: str, mark: Any) -> None:  # PyYAML has two types of mark
        super().__init__(problem=problem, problem_mark=mark)


class _Composer(yaml.SafeLoader):
    """Text to nodes, refusing what would not stay small."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - typed by the parent, which takes what a class of its own declares

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._sizes: dict[int, tuple[int, int]] = {}
        self._n_repeated = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node, once it is known to be small enough."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _too_deep(event.start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is None:
            return None
        if not isinstance(event, yaml.AliasEvent):
            self._sizes[id(node)] = self._size(node)
        elif id(node) not in self._sizes:
            raise _Fault("an alias stands within what it names", event.start_mark)
        else:
            self._n_repeated += self._sizes[id(node)][0]
            if self._n_repeated > MOST_REPEATED:
                raise _Fault(f"its aliases stand for more than {MOST_REPEATED:,} characters", event.start_mark)
        return node

    def _size(self, node: yaml.Node) -> tuple[int, int]:
        """Characters and values in a node, and its levels; aliases counted as what they stand for."""
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value), 1
        children = [child for entry in node.value for child in (entry if isinstance(entry, tuple) else (entry,))]
        sizes = [self._sizes[id(child)] for child in children]
        n_levels = 1 + max((levels for _, levels in sizes), default=0)
        if n_levels > MOST_LEVELS:
            raise _too_deep(node.start_mark)
        return 1 + sum(size for size, _ in sizes), n_levels


for _name, _pattern, _first in _PLAIN:
    _Composer.add_implicit_resolver(f"{_TAG}{_name}", _pattern, list(_first))


def _too_deep(mark: Any) -> _Fault:
    return _Fault(f"is nested more than {MOST_LEVELS} levels deep", mark)


def _content(text: str) -> Any:
    loader = _Composer(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _value(node)
    finally:
        loader.dispose()


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
        raise _Fault(f"the tag {shown(node.tag)} is not read here", node.start_mark)
    return [_value(child) for child in node.value] if isinstance(node, yaml.SequenceNode) else _mapping(node)


def _mapping(node: yaml.Node) -> dict[Any, Any]:
    """The mapping, with what `<<` merges into it; a key that stands twice is a fault."""
    found: dict[Any, Any] = {}
    merged: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Fault("a key is a list or a mapping; keys must be words", key_node.start_mark)
        if key_node.tag == f"{_TAG}merge":
            for part in _merged(value_node):
                merged = {**part, **merged}
            continue
        key = _scalar(key_node)
        if key in found:
            raise _Fault(f"the key {shown(key)} stands twice in one mapping; keep one", key_node.start_mark)
        found[key] = _value(value_node)
    return {**merged, **found}


def _merged(node: yaml.Node) -> list[dict[Any, Any]]:
    """The mappings that `<<` names; where they share a key the first counts."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(part, yaml.MappingNode) for part in parts):
        raise _Fault("`<<` must name a mapping or a list of mappings", node.start_mark)
    return [_mapping(part) for part in parts]


def _scalar(node: yaml.ScalarNode) -> Any:
    """A text, number, boolean or None."""
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    pattern = next((pattern for name, pattern, _ in _PLAIN if name == tag), None)
    if pattern is None or tag == "merge":
        if tag not in {"str", "merge"}:
            raise _Fault(f"the tag {shown(node.tag)} is not read here", node.start_mark)
        return _text(node)
    if not pattern.match(text):
        raise _Fault(f"{shown(text)} is not of the type its tag says, {shown(tag)}", node.start_mark)
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) > _MOST_DIGITS:
        raise _Fault(f"a number has {len(text):,} digits", node.start_mark)
    return int(text, 0)


def _text(node: yaml.ScalarNode) -> str:
    text: str = node.value
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        # JSON writes characters beyond U+FFFF as two escapes, which together are one character.
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _Fault("holds half of a surrogate pair, which is no character", node.start_mark) from error
