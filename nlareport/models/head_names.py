"""The names that a reconstructor's linear head has in files: with prefixes, inside another module, one per layer.

Takes a tensor's or a file's name, returns which part of which head it is. Opens nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HEADS = r"(?:value|linear|vector|reconstruction|reconstructor|recon|regression|critic|ar)[_-]heads?"
_LAYER = r"(?:[._-]?(?:layers?|blocks?|l)?[._-]?(?P<layer>\d+))?"
_OF_HEAD = re.compile(rf"(?P<prefix>(?:.+\.)?(?P<module>{_HEADS}){_LAYER})(?P<rest>\..+)", re.IGNORECASE)
_BARE = re.compile(rf"(?P<prefix>(?P<module>heads?){_LAYER}|)(?P<rest>\..+)", re.IGNORECASE)
"""In a file of its own a head need not be called a value head, or anything."""
_REST = re.compile(
    r"(?P<inside>(?:\.(?:modules_to_save|original_module|default|linear|proj|dense|fc|module|0))*)\.(?P<part>weight|bias)"
)
_OWN_FILE = re.compile(rf"(?:[\w.-]*[._-])?(?:{_HEADS}|heads?){_LAYER}\.(?:safetensors|pt|pth|bin)", re.IGNORECASE)
_NO_HEAD = re.compile(r"lm[_-]head", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HeadTensor:
    """Which part of which head a tensor is."""

    owner: str
    """The module it is of, which the parts of one head have in common."""
    part: str
    """``weight`` or ``bias``; anything else is no part of a linear map."""
    layer: int | None
    """The layer it is for; None when its name says none."""


def head_tensor(name: str, *, is_among_weights: bool) -> HeadTensor | None:
    """Which part of a head a tensor is, by its name; None when it is of none.

    In a file of its own it may have any name, and is then at least a part that no head has.
    """
    found = _OF_HEAD.fullmatch(name)
    if found is None:
        if is_among_weights:
            return None
        found = _BARE.fullmatch(name if name.lower().startswith("head") else f".{name}")
        if found is None:
            return HeadTensor("", name, None)
    rest = _REST.fullmatch(found["rest"])
    owner = found["prefix"] + (rest["inside"] if rest else "")
    groups = found.groupdict()
    # `value_head.0.weight` is the only map of a sequence, `value_heads.0.weight` that of layer 0.
    is_sequence = groups.get("layer") == "0" and not (groups.get("module") or "").lower().endswith("s")
    layer = None if groups.get("layer") is None or is_sequence else int(groups["layer"] or 0)
    return HeadTensor(owner, rest["part"].lower() if rest else found["rest"].lstrip("."), layer)


def is_of_head(name: str) -> bool:
    """Whether a tensor among a model's weights belongs to a reconstructor's head."""
    return head_tensor(name, is_among_weights=True) is not None


def own_files(names: Iterable[str]) -> dict[str, int | None]:
    """Those of some file names that a head's own file has, each with the layer that it says."""
    found = {name: _OWN_FILE.fullmatch(name) for name in names if not _NO_HEAD.search(name)}
    return {
        name: None if match["layer"] is None else int(match["layer"])
        for name, match in found.items()
        if match is not None
    }
