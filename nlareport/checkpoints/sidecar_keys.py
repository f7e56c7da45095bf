"""The keys of a sidecar: which are acted on, which only inform, and which ask for something that nothing here does.

Takes the mapping of a sidecar, returns the dotted keys that must not be ignored in silence.
"""

import re
from collections.abc import Mapping
from typing import Any

SECTIONS: Mapping[str, frozenset[str]] = {
    "extraction": frozenset(
        {
            "injection_scale",
            "mse_scale",
            "d_model",
            "layer_index",
            "layer",
            "layer_indices",
            "injection_mode",
            "injection_layer",
        }
    ),
    "injection": frozenset({"mode", "block", "layer", "norm_match", "coefficient"}),
    "tokens": frozenset(
        {
            "injection_char",
            "injection_token_id",
            "injection_left_neighbor_id",
            "injection_right_neighbor_id",
            "critic_suffix_ids",
            "adds_bos",
        }
    ),
    "prompt_templates": frozenset({"av", "actor", "verbalizer", "ar", "critic", "reconstructor"}),
    "critic": frozenset({"extraction_layer_index", "num_hidden_layers", "reads_block"}),
}
"""The parts of a sidecar that say how a vector goes in or out, and of each the keys that are acted on."""

INFORMING = frozenset({"base_model", "corpus", "corpus_slice", "positions_per_doc"})
"""Keys of `extraction` that say where training vectors came from, and decide nothing."""

ACTED_ON_AT_TOP = frozenset(
    {
        "kind",
        "schema_version",
        "role",
        "d_model",
        "extraction_layer_index",
        "layer_index",
        "layer_indices",
        "injection_mode",
        "injection_layer",
        "hook_onto_layer",
        "steering_coefficient",
        "prompt_format",
        "use_chat_template",
        *SECTIONS,
    }
)

DONE_ANYWAY: Mapping[str, frozenset[str]] = {
    "norm": frozenset({"none", "raw"}),
}
"""Keys of which one value asks for no more than is always done: golds are raw."""

_DECIDING = re.compile(
    r"(?:^|[^a-z])(?:inject|steer|layer|block|scal|norm|vector|coeff|hook|slot|marker|pool|bos"
    r"|whiten|center|centre|centring|subtract|standardi[sz]|project|rotat|preprocess|transform|clip)"
)
"""Beginnings of words in keys at the top level that decide how a vector goes in or out; other keys there inform."""


def keys_not_done(content: Mapping[str, Any]) -> list[str]:
    """Dotted keys that ask for something nothing here does, in the file's order; one that is null asks for nothing."""
    found = []
    for key, value in content.items():
        if key in SECTIONS and isinstance(value, Mapping):
            known = SECTIONS[key] | (INFORMING if key == "extraction" else frozenset())
            found += [f"{key}.{inner}" for inner in value if inner not in known and not _is_done(inner, value[inner])]
        elif key not in ACTED_ON_AT_TOP and _DECIDING.search(key.lower()) and not _is_done(key, value):
            found.append(key)
    return found


def _is_done(key: Any, value: Any) -> bool:
    """Whether what a key asks for is nothing, or done in any case."""
    return value is None or (isinstance(value, str) and value.lower() in DONE_ANYWAY.get(key, ()))
