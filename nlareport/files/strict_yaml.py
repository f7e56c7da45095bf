"""Parses YAML strictly: bounded in depth and aliases, no tags, no repeated keys, and no value turned into another.

Takes a text; returns mappings, lists, texts, numbers, booleans and None. Dates, `no`, `010`, `1:30` and `8e4` stay
texts; what wants a number reads it from such a text.
"""

import re
from typing import Any

import yaml

from nlareport.shown import shown

MOST_LEVELS = 50
MOST_REPEATED = 1_000_000
"""Characters and values that aliases may stand for beyond what is written."""
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


class YamlFault(yaml.MarkedYAMLError):
    """Something that YAML allows and that is not accepted here, with its place."""

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
            raise YamlFault("an alias is used within the value it names", event.start_mark)
        else:
            self._n_repeated += self._sizes[id(node)][0]
            if self._n_repeated > MOST_REPEATED:
                raise YamlFault(f"its aliases stand for more than {MOST_REPEATED:,} characters", event.start_mark)
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


def _too_deep(mark: Any) -> YamlFault:
    return YamlFault(f"is nested more than {MOST_LEVELS} levels deep", mark)


def parse_yaml(text: str) -> Any:
    """What a YAML text holds; None when it is empty.

    Raises:
        yaml.YAMLError: the text is not YAML; `YamlFault` where it is YAML that is not accepted here.
    """
    loader = _Composer(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _value_of(node)
    finally:
        loader.dispose()


def _value_of(node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar_in(node)
    if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
        raise YamlFault(f"the tag {shown(node.tag)} is not read here", node.start_mark)
    return [_value_of(child) for child in node.value] if isinstance(node, yaml.SequenceNode) else _mapping_in(node)


def _mapping_in(node: yaml.Node) -> dict[Any, Any]:
    """The mapping, with what `<<` merges into it; a repeated key is a fault."""
    found: dict[Any, Any] = {}
    merged: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlFault("a key is a list or a mapping; keys must be words", key_node.start_mark)
        if key_node.tag == f"{_TAG}merge":
            for part in _mappings_to_merge(value_node):
                merged = {**part, **merged}
            continue
        key = _scalar_in(key_node)
        if key in found:
            raise YamlFault(f"the key {shown(key)} is repeated in one mapping; keep one", key_node.start_mark)
        found[key] = _value_of(value_node)
    return {**merged, **found}


def _mappings_to_merge(node: yaml.Node) -> list[dict[Any, Any]]:
    """The mappings that `<<` names; where they share a key the first counts."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(part, yaml.MappingNode) for part in parts):
        raise YamlFault("`<<` must name a mapping or a list of mappings", node.start_mark)
    return [_mapping_in(part) for part in parts]


def _scalar_in(node: yaml.ScalarNode) -> Any:
    """A text, number, boolean or None."""
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    pattern = next((pattern for name, pattern, _ in _PLAIN if name == tag), None)
    if pattern is None or tag == "merge":
        if tag not in {"str", "merge"}:
            raise YamlFault(f"the tag {shown(node.tag)} is not read here", node.start_mark)
        return _text_of(node)
    if not pattern.match(text):
        raise YamlFault(f"{shown(text)} is not of the type its tag says, {shown(tag)}", node.start_mark)
    match tag:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) > _MOST_DIGITS:
        raise YamlFault(f"a number has {len(text):,} digits", node.start_mark)
    return int(text, 0)


def _text_of(node: yaml.ScalarNode) -> str:
    text: str = node.value
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        # JSON writes characters beyond U+FFFF as two escapes, which together are one character.
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise YamlFault("holds half of a surrogate pair, which is no character", node.start_mark) from error
