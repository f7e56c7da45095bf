"""The names by which results call their columns, as far as a name alone says what a column is.

Takes the names of columns, returns which is the item, the text, the draw, and which scores there are. A name such as
`mse` or `fve` does not say how the score is defined, so nothing is concluded from it.
"""

import re
from collections.abc import Mapping, Sequence

from nlareport.statistics.score_definitions import Definition

NAMES: Mapping[str, tuple[str, ...]] = {
    "item": ("item_id", "item", "id", "idx", "uid", "example_id", "row", "index", "key"),
    "document": ("doc_id", "document", "doc", "document_id"),
    "token": ("token", "token_text", "token_str"),
    "context": ("context", "prefix_text", "prefix", "source_tail", "detokenized_text_truncated"),
    "char_end": ("char_end",),
    "token_index": ("token_index", "position", "pos", "token_position"),
    "norm": ("activation_norm", "raw_norm", "norm", "v_norm"),
    "source": ("source", "verbalizer", "av"),
    "target": ("target", "reconstructor", "ar"),
    "draw": ("draw", "sample", "sample_idx", "sample_id", "rollout"),
    "method": ("method", "variant"),
    "explanation": ("explanation", "nla_explanation", "av_explanation", "nla_output", "text", "description"),
    "completion": ("completion", "full_output"),
}
"""By key of a map, the names in the order in which they are taken."""

_SCORES: tuple[tuple[str, Definition], ...] = (
    (r"(.*_)?mse_nrm", "mse_nrm"),
    (r"(.*_)?fve_nrm", "fve_nrm"),
    (r"(.*_)?fve_meannorm", "fve_meannorm"),
    (r"(.*_)?(centred_cos(ine)?|centered_cos(ine)?|cos_c|cosine_centred|cosine_centered)", "centred_cosine"),
    (r"(.*_)?(cos|cosine|cos_sim|cosine_similarity|cos_raw)", "cosine"),
    (r"(.*_)?mse_per_dim(ension)?", "mse_per_dimension"),
)
_LIKE_SCORES = re.compile(r".*(mse|fve|r2|score|recon|loss|error|similarity).*")


def columns_by_name(names: Sequence[str]) -> dict[str, str]:
    """The column of each key of a map whose name says what it is; none is two things."""
    lowered = {_last(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for key, known in NAMES.items():
        fitting = [lowered[name] for name in known if name in lowered and lowered[name] not in found.values()]
        if fitting:
            found[key] = fitting[0]
    return found


def definition_by_name(column: str) -> Definition | None:
    """How a score is defined whose column is called so; None where the name does not say."""
    return next((definition for pattern, definition in _SCORES if re.fullmatch(pattern, _last(column))), None)


def looks_like_a_score(column: str) -> bool:
    """Whether a column of numbers may hold scores, by its name."""
    return definition_by_name(column) is not None or bool(_LIKE_SCORES.fullmatch(_last(column)))


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()
