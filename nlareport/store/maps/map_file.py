"""The map of results in a layout of their own: which column is what, how the scores are defined, which pairs there are.

Takes the YAML text of a map, returns a `ResultsMap`; every fault is listed. What the named columns hold is the business
of `mapped_rows`.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nlareport.errors import MapInvalid
from nlareport.experiment.section import ForeignName
from nlareport.files.yaml_files import mapping_in, validation_faults, yaml_text
from nlareport.statistics.score_definitions import Definition
from nlareport.store.bundle.run_yaml import BundlePair

BUILT_IN = "built_in"
IN_ORDER = "in_order"
"""What `draw` says where rows that repeat a key are the draws, in their order."""
FILL_IN = "FILL_IN"
"""What a guessed map says where nothing but its maker knows."""
CAPTURES = ("source", "target", "method", "draw")
"""What a part of a column's name in braces stands for."""
_CAPTURE = re.compile(r"\{([^{}]*)\}")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _by_name(value: Any) -> Any:
    """A list of columns as the tags that are called like them."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return {name: name for name in value}
    return value


Column = Annotated[str, Field(min_length=1, max_length=500)]
"""A column's name; in JSON a path such as `scores.orig.cos`."""
Columns = Annotated[list[Column], Field(min_length=1), BeforeValidator(_as_list)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ScoreColumn(_Part):
    """A column of scores, or several whose names have parts in braces, and what they are."""

    column: Column
    definition: Definition
    source: str | None = None
    target: str | None = None
    method: str | None = None
    """What was done to the texts before they were read."""

    @model_validator(mode="after")
    def _captures_are_known(self) -> "ScoreColumn":
        check_captures(self.column)
        return self


class ResultsMap(_Part):
    """The whole of a map."""

    title: str
    pairs: list[BundlePair] = []
    """May be left out where the format says which there are."""
    run_id: ForeignName | None = None
    format: Literal["transcripts"] | None = None
    """None where the ending of a file tells its format."""
    files: Annotated[list[str], BeforeValidator(_as_list)] = ["*"]
    """Of a folder, patterns of the files to read."""
    rows: str | None = None
    """In JSON, where the rows are."""
    item: Columns | None = None
    """Together they tell one item from another."""
    document: Columns | None = None
    token: Column | None = None
    context: Column | None = None
    char_end: Column | None = None
    token_index: Column | None = None
    norm: Column | None = None
    reconstruction_norm: Column | None = None
    source: Column | None = None
    """A column, or a pair of the map for all rows."""
    target: Column | None = None
    draw: Column | None = None
    method: Column | None = None
    unchanged: str | None = None
    """What a method says where the text was read as it was written."""
    explanation: Column | None = None
    completion: Column | None = None
    scores: list[ScoreColumn] = []
    tags: Annotated[dict[str, Column], BeforeValidator(_by_name)] = {}
    renamed: dict[str, str] = {}
    """What the files call a pair, and which pair it is."""
    missing: list[str] = []
    """Texts that stand for no value, such as NA."""
    checked: bool = False
    """True where somebody has looked at scores that seem to be something else."""

    @model_validator(mode="after")
    def _says_enough(self) -> "ResultsMap":
        if not self.scores and self.explanation is None and self.completion is None:
            raise ValueError("names neither scores nor an explanation; add one of them")
        if not self.pairs and self.format is None:
            raise ValueError("pairs is missing; list the pairs that the results are of")
        if self.item is None and len(self.pairs) > 1:
            raise ValueError("item is missing; name the columns that tell one item from another")
        if self.norm is not None and self.token_index is None and not self.converts_norms:
            raise ValueError("norm needs token_index, the column with the item's place among the tokens")
        for column in filter(None, (self.explanation, self.completion)):
            check_captures(column)
        return self

    @property
    def converts_norms(self) -> bool:
        """Whether scores are converted with the norms of both vectors."""
        return any(score.definition == "raw_mse" for score in self.scores)


def check_captures(column: str) -> None:
    """Pass when the parts in braces of a column's name are known and each comes once.

    Raises:
        ValueError: one is not.
    """
    named = _CAPTURE.findall(column)
    strange = [name for name in named if name not in CAPTURES]
    if strange or len(set(named)) < len(named):
        raise ValueError(f"may have in braces, each once: {', '.join(CAPTURES)}")


def column_pattern(column: str) -> re.Pattern[str] | None:
    """What the names of the columns look like that a name with parts in braces stands for; None without such parts."""
    if not _CAPTURE.search(column):
        return None
    parts = _CAPTURE.split(column)
    return re.compile(
        "".join(re.escape(part) if place % 2 == 0 else f"(?P<{part}>.+?)" for place, part in enumerate(parts))
    )


def read_map(name: str) -> tuple[ResultsMap, str]:
    """A map and its text, of a file or by the name of one that comes with nlareport.

    Raises:
        MapInvalid: there is no such map, or it has faults; every fault is listed.
    """
    path = Path(name)
    built_in = built_in_maps()
    if name in built_in and not path.exists():
        path = Path(f"{name}.yaml")
        text = built_in[name]
    else:
        known = ", ".join(built_in)
        text = yaml_text(path, MapInvalid, f"Give the path of a map, or the name of one that is built in: {known}.")
    return parse_map(text, path), text


def parse_map(text: str, path: Path) -> ResultsMap:
    """The map in a YAML text; `path` is what faults are reported under.

    Raises:
        MapInvalid: the text is not YAML or has faults; every fault is listed.
    """
    content = mapping_in(text, path, MapInvalid, "map", "`title`, `pairs` and `scores`")
    if unfilled := list(_unfilled(content, "")):
        raise MapInvalid(f"{path}: {', '.join(unfilled)}: still says {FILL_IN}; write what it is.")
    try:
        return ResultsMap.model_validate(content)
    except ValidationError as error:
        raise MapInvalid("\n".join(validation_faults(error, path))) from error


def built_in_maps() -> dict[str, str]:
    """The maps that come with nlareport, by name."""
    found = sorted(files(__package__).joinpath(BUILT_IN).iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8") for file in found}


def _unfilled(content: Any, place: str) -> Any:
    """Where a map still has to be filled in."""
    match content:
        case dict():
            for key, value in content.items():
                yield from _unfilled(value, f"{place}.{key}" if place else str(key))
        case list():
            for number, value in enumerate(content):
                yield from _unfilled(value, f"{place}.{number}")
        case str() if FILL_IN in content:
            yield place
