"""Writes the sample browser: its page, and the items as classic scripts, which a page can load even from disk.

Takes items in order, some at a time; writes one script of columns, which the page loads at once, and scripts of 100
items' texts each, which it loads when it shows or searches them. What a script says is data: it calls one function.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from nlareport import figure_text
from nlareport.claims.answer_marks import PHRASES
from nlareport.ports import RunReader, in_batches
from nlareport.render.content_security import BROWSER_POLICY
from nlareport.render.links import cell_name, family_name, pair_name
from nlareport.render.pages.item_pages import ITEMS_PER_PAGE, NO_DRAWS, ItemDetail, ItemPages, ItemWriter, item_details
from nlareport.render.readable import isolated, readable
from nlareport.render.report.answer_notes import CLEAN_LETTERS, LETTERS, answer_letter, letter_notes
from nlareport.render.report.draw_tables import read_texts
from nlareport.render.report.tag_tables import TagCount
from nlareport.render.report.text_looks import SIGN_MEANINGS, TextLooks
from nlareport.render.report_folder import ReportFolder
from nlareport.render.text_tables import script_literal
from nlareport.rows.item_rows import Stratum
from nlareport.rows.run_rows import Pair
from nlareport.rows.text_rows import Sign
from nlareport.statistics.tag_subsets import FEWEST_ITEMS, in_order

ITEMS_PER_SHARD = 100
"""Of texts: about 100 KB compressed, so that looking at one item costs little."""
TAIL = 64
"""Characters of context that the list shows, and that need no shard."""
SCORE_SCALE = 10_000
MOST_SCORE = 1e9
"""Of a score in either direction, as the list of items shows it."""
STRATA: tuple[Stratum, ...] = get_args(Stratum)
MOST_TAGS, MOST_TAG_VALUES = 20, 100
"""Tags to filter by, and values of each that several items have, the most frequent first."""
NORM_DIGITS = 6
SCRIPTS = ("data", "texts", "searcher", "worker", "search", "state", "filter", "controls", "list", "detail", "main")
"""In the order they build on each other."""


def render_browser(
    folder: ReportFolder,
    reader: RunReader,
    pages: ItemPages,
    pairs: list[Pair],
    texts: TextLooks,
    n_draws: int = 1,
) -> None:
    """The browser and the static pages of all items, written into the report's folder; nothing without an item.

    Of up to `n_draws` explanations by one source the browser shows the first, a static page all.
    """
    if not pages.item_ids:
        return
    writer = ItemWriter(folder, pages, pairs, reader.sql("item_details").strip(), texts.marks_words)
    tags = _filters(reader.rows(TagCount, "tags"))
    columns = ItemColumns(folder, pages, pairs, tags)
    for details in item_details(reader, pages):
        first, last = details[0].item_id, details[-1].item_id
        writer.write(details, read_texts(reader, first, last) if n_draws > 1 else NO_DRAWS)
        columns.add(details)
    writer.finish()
    scripts = [folder.script(f"report/browse_{name}.js") for name in SCRIPTS]
    # The data call what the first script defines, and the last script reads what the data left.
    scripts.insert(1, columns.finish())
    letters = columns.letters()
    folder.page(
        "browse.html",
        "report/browse.html",
        title=f"{folder.run.title}: sample browser",
        scripts=scripts,
        policy=BROWSER_POLICY,
        pairs=pairs,
        families=sorted({pair.family for pair in pairs}),
        names={"cell": cell_name, "pair": pair_name, "family": family_name},
        strata=STRATA,
        tags=tags,
        answers=[(letter, PHRASES[mark]) for mark, letter in LETTERS.items() if letter in letters],
        signs=texts,
        n_items=len(pages.item_ids),
        n_draws=n_draws,
    )


def _filters(counts: Sequence[TagCount]) -> dict[str, list[str]]:
    """The values that each tag can be filtered by, in order."""
    values: dict[str, list[str]] = {}
    for count in counts:
        if count.n_items < FEWEST_ITEMS:
            continue
        values.setdefault(count.name, []).append(count.value)
    return {name: in_order(found[:MOST_TAG_VALUES]) for name, found in list(values.items())[:MOST_TAGS]}


@dataclass(slots=True)
class ItemColumns:
    """The columns of items that come in order, and the shards of their texts, which are written on the way."""

    folder: ReportFolder
    pages: ItemPages
    pairs: list[Pair]
    tags: dict[str, list[str]]
    """The values to filter by, of each tag."""
    _tokens: dict[str, int] = field(default_factory=dict)
    _shards: list[str] = field(default_factory=list)
    _places: dict[str, dict[str, int]] = field(default_factory=dict)
    _columns: dict[str, list[Any]] = field(default_factory=dict)
    """Plain columns, and under `scores`, `norms`, `states` and `tags` a list of columns."""
    _signs: dict[Sign, list[list[int]]] = field(default_factory=dict)
    """The places of the items that show each sign, source by source: most show none."""

    def __post_init__(self) -> None:
        n_pairs = len(self.pairs)
        self._columns = {name: [] for name in ("token", "marked", "tail", "stratum", "outlier", "mean", "gap")}
        for name, width in (("scores", n_pairs * n_pairs), ("norms", n_pairs), ("states", n_pairs)):
            self._columns[name] = [[] for _ in range(width)]
        self._columns["tags"] = [[] for _ in self.tags]
        self._places = {name: {value: place for place, value in enumerate(found)} for name, found in self.tags.items()}

    def add(self, details: Sequence[ItemDetail]) -> None:
        """Takes these items in; they fill whole shards unless they are the last."""
        for shown in in_batches(details, ITEMS_PER_SHARD):
            number = len(self._shards)
            script = _call("texts", number, [_texts(item) for item in shown])
            self._shards.append(self.folder.asset(f"texts-{number}.js", script, "data"))
        for item in details:
            self._add_item(item)

    def letters(self) -> set[str]:
        """Those that answers were judged by so far."""
        return set().union(*self._columns["states"])

    def finish(self) -> str:
        """Where the script of all columns was put."""
        content = {
            "pairs": [{"id": pair_name(pair.pair_id), "label": isolated(pair.label), "block": pair.block_index,
                       "family": family_name(pair.family), "writes": pair.writes, "reads": pair.reads}
                      for pair in self.pairs],
            "cells": [cell_name(source.pair_id, target.pair_id) for source in self.pairs for target in self.pairs],
            "page_pattern": self.pages.pattern,
            "items_per_page": ITEMS_PER_PAGE,
            "items_per_shard": ITEMS_PER_SHARD,
            "score_scale": SCORE_SCALE,
            "strata": STRATA,
            **({"given": True} if self.folder.run.has_given_vectors else {}),
            "answer_notes": letter_notes(),
            "clean_letters": CLEAN_LETTERS,
            "shards": self._shards,
            "tokens": list(self._tokens),
            "ids": list(self.pages.item_ids),
            "signs": self._signs,
            "sign_words": {sign: SIGN_MEANINGS[sign] for sign in self._signs},
            **self._columns,
        }  # fmt: skip
        content["tags"] = [
            {"name": name, "values": values, "column": column}
            for (name, values), column in zip(self.tags.items(), self._columns["tags"], strict=True)
        ]
        content["outlier"] = "".join(self._columns["outlier"])
        content["states"] = ["".join(states) for states in self._columns["states"]]
        return self.folder.asset("items.js", _call("items", content), "data")

    def _add_item(self, item: ItemDetail) -> None:
        columns, tail = self._columns, item.tail(TAIL)
        for place, signs in enumerate(item.signs):
            for sign in signs:
                self._signs.setdefault(sign, [[] for _ in self.pairs])[place].append(len(columns["token"]))
        columns["token"].append(self._token(readable(item.token)))
        columns["marked"].append(self._token(tail.token))
        columns["tail"].append(tail.before)
        columns["stratum"].append(STRATA.index(item.stratum))
        columns["outlier"].append("-" if item.is_outlier is None else "y" if item.is_outlier else "n")
        columns["mean"].append(browser_score(item.mean_fve))
        columns["gap"].append(browser_score(item.gap))
        for column, fve in zip(columns["scores"], item.fve_nrm, strict=True):
            column.append(browser_score(fve))
        for column, norm in zip(columns["norms"], item.activation_norm, strict=True):
            column.append(None if norm is None or not math.isfinite(norm) else float(f"{norm:.{NORM_DIGITS}g}"))
        said = dict(zip(item.tag_names, item.tag_values, strict=True))
        for column, (name, places) in zip(columns["tags"], self._places.items(), strict=True):
            column.append(places.get(said.get(name, ""), -1))
        for column, is_clean, mark in zip(columns["states"], item.is_clean, item.mark, strict=True):
            column.append(answer_letter(is_clean, mark))

    def _token(self, token: str) -> int:
        """The token's place in the dictionary, where it is put if it is new."""
        return self._tokens.setdefault(token, len(self._tokens))


def browser_score(fve_nrm: float | None) -> int | float | None:
    """A score in whole ten-thousandths that the browser, rounding halves up, writes with the same two decimals."""
    if fve_nrm is None or math.isnan(fve_nrm):
        return None
    if abs(fve_nrm) >= figure_text.MOST_SCORED:
        return SCORE_SCALE * float(min(max(fve_nrm, -figure_text.MOST_WRITTEN), figure_text.MOST_WRITTEN))
    # Beyond this no decimal is left, and 100 times the largest number is infinite.
    fve_nrm = min(max(fve_nrm, -MOST_SCORE), MOST_SCORE)
    hundredths = round(100 * float(f"{fve_nrm:.2f}"))
    # 0.62496 would become 0.6250 and be shown as 0.63, beside an item page that says 0.62.
    return min(max(round(SCORE_SCALE * fve_nrm), 100 * hundredths - 50), 100 * hundredths + 49)


def _texts(item: ItemDetail) -> list[Any]:
    """What the browser learns of an item only when it shows or searches it; the unscored reasons each once."""
    marked = item.marked
    reasons = list(dict.fromkeys(isolated(reason) for reason in item.unscored_reason if reason is not None))
    answers = [None if text is not None else answer for text, answer in zip(item.text, item.completion, strict=True)]
    context = None if marked is None else [marked.before, marked.token]
    return [isolated(item.doc_id), context, _readable(item.text), _readable(answers), reasons]


def _readable(texts: Sequence[str | None]) -> list[str | None]:
    return [None if text is None else readable(text) for text in texts]


def _call(function: str, *values: Any) -> str:
    """A script that hands the values to the browser's function of that name."""
    return f"nlaBrowser.{function}({','.join(map(script_literal, values))});\n"
