"""Reads the worked examples of the first public release: a text file a pair, one conversation, every token verbalized.

Takes the text of `examples/*.txt`, returns its rows and its pair as the head describes it. The answers drawn at
temperature 1 at its end are of one token only and are left out.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlareport.errors import ResultsUnreadable
from nlareport.files.gzip_files import text_unpacked
from nlareport.shown import shown
from nlareport.store.bundle.run_yaml import BundlePair
from nlareport.store.maps.nested_rows import Record
from nlareport.store.maps.result_files import MOST_BYTES, ResultFile

_ADVICE = "Give a transcript of the public release, such as examples/qwen7b_layer20_step4200.txt."
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?)"
_ROW = re.compile(
    r"^\[ *(?P<position>[0-9]+)\]  (?P<role>\w+) +token=(?P<token>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    rf"  \|\|v\|\|={_NUMBER}  mse_nrm={_NUMBER}  cos={_NUMBER}  fve_nrm={_NUMBER}$",
    re.MULTILINE,
)
_HEAD = {
    "verbalizer": re.compile(r"^AV checkpoint: +(\S+)$", re.MULTILINE),
    "base_model": re.compile(r"^Extraction model: +(\S+)$", re.MULTILINE),
    "block_index": re.compile(r"^Extraction: +layer ([0-9]+) ", re.MULTILINE),
    "d_model": re.compile(r"^d_model: +([0-9]+)$", re.MULTILINE),
    "variance_nrm": re.compile(rf"^fve_nrm: +1 - mse_nrm / {_NUMBER}\.", re.MULTILINE),
    "injection_scale": re.compile(rf"^ +L2={_NUMBER} \(injection_scale ", re.MULTILINE),
}
_END = re.compile(r"^─{20,}$", re.MULTILINE)
_INDENT = "    "


def read_transcript(path: Path) -> tuple[ResultFile, BundlePair]:
    """The rows of a transcript and its pair.

    Raises:
        ResultsUnreadable: the file is not there, or is no such transcript.
    """
    text = text_unpacked(path, ResultsUnreadable, _ADVICE, MOST_BYTES)
    head = {name: found[1] for name, pattern in _HEAD.items() if (found := pattern.search(text))}
    if lacking := [name for name in _HEAD if name not in head]:
        raise ResultsUnreadable(f"{path}: its head names no {lacking[0]}, so it is no transcript. {_ADVICE}")
    pair = _pair(head)
    try:
        transcript = ResultFile(path, list(_records(text, pair.pair_id)))
    except ValueError as error:
        raise ResultsUnreadable(f"{path}: {error}. {_ADVICE}") from error
    if not transcript.records:
        raise ResultsUnreadable(f"{path}: has no line with a token and its scores, so it is no transcript. {_ADVICE}")
    return transcript, pair


def _pair(head: dict[str, str]) -> BundlePair:
    """The pair, named after its verbalizer's repository; V is that of the release's own training data."""
    name = head["verbalizer"].rpartition("/")[2].removesuffix("-av")
    model = head["base_model"].rpartition("/")[2]
    variance = float(head["variance_nrm"])
    return BundlePair(
        pair_id=name,
        family=(re.match("[A-Za-z]+", model) or [model])[0].lower(),
        base_model=head["base_model"],
        block_index=int(head["block_index"]),
        d_model=int(head["d_model"]),
        injection_scale=float(head["injection_scale"]),
        variance_nrm=variance,
        sidecar_variance_nrm=variance,
    )


def _records(text: str, pair_id: str) -> Iterator[Record]:
    matches = list(_ROW.finditer(text))
    context = ""
    for number, match in enumerate(matches, start=1):
        begins = match.end() + 1
        end = matches[number].start() if number < len(matches) else _end_after(text, begins)
        norm, mse, cosine, fve = (float(value) for value in match.groups()[3:])
        token = _token(match["token"])
        context += token
        values: dict[str, Any] = {
            "pair": pair_id,
            "position": int(match["position"]),
            "role": match["role"].lower(),
            "token": token,
            "context": context,
            "char_end": len(context),
            "norm": norm,
            "mse_nrm": mse,
            "cosine": cosine,
            "fve_nrm": fve,
            "explanation": _unindented(text[begins:end]),
        }
        yield Record(number, values)


def _token(written: str) -> str:
    """The token of its Python literal; a byte that is no character of its own is U+FFFD there already."""
    try:
        return str(ast.literal_eval(written))
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"token={shown(written)} is no text") from error


def _end_after(text: str, begins: int) -> int:
    found = _END.search(text, begins)
    return found.start() if found else len(text)


def _unindented(block: str) -> str:
    return "\n".join(line.removeprefix(_INDENT) for line in block.split("\n")).strip()
