"""The stage ``texts``: stores what sources without a verbalizer say of each item, such as texts that people wrote.

Takes a table of texts by item, or the last words of each item's context; writes rows of `Explanation`, which every
target's reconstructor reads. No model is opened. The digest of a file is part of what the run is computed from.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.errors import CorpusUnreadable, TextsUnfit
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import TextsSpec
from nlareport.files.corpus_files import rows_of
from nlareport.ports import in_batches
from nlareport.rows.item_rows import Explanation, Item
from nlareport.rows.run_rows import Making, PairId
from nlareport.run.context import Work
from nlareport.run.stage import Stage
from nlareport.shown import brief, listed, shown
from nlareport.stages.context_words import last_words

ROWS_AT_ONCE = 10_000

TextKey = int | tuple[str, int]
"""An item: its number, or its document and the end of its token there."""


def write_given_texts(work: Work) -> None:
    """Items to texts, one source at a time; an item of which a file holds none has no text, and so no score.

    Raises:
        TextsUnfit: a file cannot be read, contradicts itself, or holds no text of any item.
    """
    for spec in work.experiment.texts:
        source, items = PairId(spec.pair_id), work.items()
        missing = set(work.run_file.item_ids_without_explanation(source, 0))
        todo = [item for item in items if item.item_id in missing]
        work.progress.stage(f"texts {source}", len(items), len(items) - len(todo))
        if not todo:
            continue
        texts = given_texts(spec, work.folder, items)
        for batch in in_batches(todo, ROWS_AT_ONCE):
            work.run_file.append([_row(source, item, texts.get(item.item_id)) for item in batch])
            work.progress.advance(len(batch))


def given_texts(spec: TextsSpec, folder: Path, items: list[Item]) -> dict[int, str]:
    """What a source says of these items, by item; items without a text are left out.

    Raises:
        TextsUnfit: its file cannot be read, contradicts itself, or holds no text of any of the items.
    """
    if spec.path is None:
        words = {item.item_id: last_words(item.context or "", spec.last_words or 0) for item in items}
        return {item_id: text for item_id, text in words.items() if text}
    path = folder / spec.path
    known = _read_texts(spec, path)
    found = {item.item_id: text for item in items if (text := _text_of(known, item)) is not None}
    if not found:
        raise TextsUnfit(
            f"Pair {spec.pair_id}: {path} holds {len(known)} texts and none is of an item of this run; name items by "
            'item_id, or by doc_id and char_end, as "nlareport query FILE" shows them in the table item.'
        )
    return found


def texts_making(experiment: Experiment, folder: Path) -> list[Making]:
    """The digests of the files of texts that are on this machine."""
    files = {spec.pair_id: folder / spec.path for spec in experiment.texts if spec.path is not None}
    return [
        Making(PairId(name), "verbalizer", "texts", hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in files.items()
        if path.is_file()
    ]


def _row(source: PairId, item: Item, text: str | None) -> Explanation:
    """Nobody judges whether it is clean: it was not asked for in tags."""
    return Explanation(item.item_id, source, text, completion=None, n_tokens=None, finish=None, is_clean=None)


def _text_of(known: Mapping[TextKey, str], item: Item) -> str | None:
    by_place = None if item.char_end is None else known.get((item.doc_id, item.char_end))
    return known.get(item.item_id, by_place)


def _read_texts(spec: TextsSpec, path: Path) -> dict[TextKey, str]:
    try:
        columns = ["item_id", "doc_id", "char_end", "text"]
        if path.suffix.lower() == ".parquet":
            columns = [name for name in columns if name in pl.read_parquet_schema(path)]
        rows = list(rows_of(path, dict.fromkeys(columns, f"pairs.{spec.pair_id}.path"), 0, None))
    except CorpusUnreadable as error:
        raise TextsUnfit(f"Pair {spec.pair_id}: {str(error).replace('corpus.path', 'its path')}") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TextsUnfit(f"Pair {spec.pair_id}: {path} cannot be read ({brief(error)}); give another file.") from error
    texts: dict[TextKey, str] = {}
    for place, row in rows:
        key, text = _key(spec, place, row), row.get("text")
        if text is not None and not isinstance(text, str):
            raise TextsUnfit(f"Pair {spec.pair_id}: {place}: text is {shown(text)}; it must be a text.")
        if key in texts:
            raise TextsUnfit(f"Pair {spec.pair_id}: {place}: there is another text of {listed([key])}; keep one.")
        if text is not None and text.strip():
            texts[key] = text.strip()
    return texts


def _key(spec: TextsSpec, place: str, row: Mapping[str, Any]) -> TextKey:
    item_id, doc_id, char_end = (row.get(name) for name in ("item_id", "doc_id", "char_end"))
    if (number := _whole(item_id)) is not None:
        return number
    if isinstance(doc_id, str) and doc_id and (end := _whole(char_end)) is not None:
        return doc_id, end
    raise TextsUnfit(
        f"Pair {spec.pair_id}: {place}: names no item; give item_id as a whole number, or doc_id and char_end."
    )


def _whole(value: Any) -> int | None:
    """A whole number, also one that a CSV file holds as a text."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


TEXTS = Stage("texts", write_given_texts)
