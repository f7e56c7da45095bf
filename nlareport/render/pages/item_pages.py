"""Writes a static page for every item, and static lists of them, for readers whose browser runs no script.

Takes items in order, some at a time, so that a run of any size needs little memory. `ItemPages` alone knows the address
of an item's page.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nlareport.claims.answer_marks import ShownMark
from nlareport.ports import RunReader, in_batches
from nlareport.render.readable import readable
from nlareport.render.report.answer_notes import answer_note
from nlareport.render.report.draw_tables import TextsOfItem
from nlareport.render.report.sample_cards import MarkedContext, mark_token
from nlareport.render.report.text_looks import SIGN_MEANINGS
from nlareport.render.report_folder import ReportFolder
from nlareport.rows.item_rows import Finish, Stratum
from nlareport.rows.run_rows import Pair
from nlareport.rows.text_rows import Sign

MOST_SINGLE_PAGES = 5_000
"""Up to so many items each has a page of its own; hosts and disks dislike more small files."""
ITEMS_PER_PAGE = 100
"""On shared pages."""
ITEMS_PER_LIST = 500
ITEMS_AT_ONCE = 1_000
"""Read by one query: a few megabytes of texts."""
TAIL = 110
"""Characters of context in a list."""
NO_DRAWS: Mapping[int, TextsOfItem] = {}


@dataclass(frozen=True, slots=True)
class ItemId:
    """One item (``item_ids``)."""

    item_id: int


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """Everything known of one item (``item_details``); lists are in the order of pairs, with None for the unknown."""

    item_id: int
    doc_id: str
    char_end: int | None
    token: str
    context: str | None
    stratum: Stratum
    is_outlier: bool | None
    tags: list[str]
    """Such as `language: en`, in order of name; empty without any."""
    tag_names: list[str]
    tag_values: list[str]
    text: list[str | None]
    completion: list[str | None]
    finish: list[Finish | None]
    is_clean: list[bool | None]
    mark: list[ShownMark | None]
    signs: list[list[Sign]]
    """What each source's explanations show of a text that went wrong, of every draw."""
    token_index: list[int | None]
    char_error: list[int | None]
    activation_norm: list[float | None]
    fve_nrm: list[float | None]
    """Row by row, the source first."""
    unscored_reason: list[str | None]
    mean_fve: float | None
    mean_diagonal: float | None
    mean_crossing: float | None
    gap: float | None
    """Diagonal mean minus cross-model mean. None where either is."""

    @property
    def marked(self) -> MarkedContext | None:
        """The context with the item's token set apart; None when the run file holds no text."""
        return mark_token(self.context, self.token)

    def tail(self, n_characters: int) -> MarkedContext:
        """The context's last words, line breaks as spaces; only the token where there is no context. Both bounded."""
        marked = self.marked or MarkedContext("", readable(self.token))
        before = marked.before[-n_characters - 1 :]
        if len(before) > n_characters:
            before = f"…{before.partition(' ')[2] or before[1:]}"
        token = marked.token if len(marked.token) <= TAIL else f"{marked.token[:TAIL]}…"
        return MarkedContext(" ".join(before.splitlines()), token)

    @property
    def notes(self) -> list[str | None]:
        """What is said of the form of each answer."""
        return [answer_note(*judged) for judged in zip(self.is_clean, self.mark, strict=True)]

    @property
    def sign_notes(self) -> list[str | None]:
        """What is said of the signs that each source's explanations show."""
        return [
            f"Signs: {'; '.join(SIGN_MEANINGS[sign] for sign in signs)}." if signs else None for signs in self.signs
        ]

    @property
    def has_texts(self) -> bool:
        """Whether any source's explanation or answer is known."""
        return any(text is not None for text in (*self.text, *self.completion))


@dataclass(frozen=True, slots=True)
class ItemPages:
    """Where each item's page stands: the one place that knows."""

    item_ids: Sequence[int]
    """In order."""

    @property
    def are_shared(self) -> bool:
        """Whether items stand together on pages."""
        return len(self.item_ids) > MOST_SINGLE_PAGES

    @property
    def pattern(self) -> str:
        """An item's address from the report's root, `{page}` and `{id}` still to be filled in."""
        return "items/page-{page}.html#item-{id}" if self.are_shared else "items/{id}.html"

    def href(self, item_id: int) -> str:
        """The item's address from the report's root."""
        page = 1 + bisect_left(self.item_ids, item_id) // ITEMS_PER_PAGE
        return self.pattern.format(page=page, id=item_id)

    def batches(self) -> list[Sequence[int]]:
        """The ids in the runs that are read at once."""
        return in_batches(self.item_ids, ITEMS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One line of a static list."""

    href: str
    """From the folder of the lists."""
    item_id: int
    tail: MarkedContext
    is_outlier: bool | None
    mean_fve: float | None


@dataclass(slots=True)
class ItemWriter:
    """Writes the pages of items that come in order."""

    folder: ReportFolder
    pages: ItemPages
    pairs: list[Pair]
    sql: str
    """The query the items came from, as the list shows it."""
    marks_words: bool = False
    """Whether content words that stand in the item's context are underlined."""
    _entries: list[ListEntry] = field(default_factory=list)

    def write(self, details: Sequence[ItemDetail], draws: Mapping[int, TextsOfItem] = NO_DRAWS) -> None:
        """The pages of these items, which fill whole pages unless they are the last; with those of several `draws`."""
        size = ITEMS_PER_PAGE if self.pages.are_shared else 1
        for shown in in_batches(details, size):
            self._write_page(shown, draws)
        for item in details:
            href = self.pages.href(item.item_id).removeprefix("items/")
            self._entries.append(ListEntry(href, item.item_id, item.tail(TAIL), item.is_outlier, item.mean_fve))

    def finish(self) -> None:
        """The static lists of all items written."""
        lists = in_batches(self._entries, ITEMS_PER_LIST)
        hrefs = [f"index{'' if number == 0 else f'-{number + 1}'}.html" for number in range(len(lists))]
        jumps = [(href, entries[0].item_id, entries[-1].item_id) for href, entries in zip(hrefs, lists, strict=True)]
        for number, entries in enumerate(lists):
            self.folder.page(
                f"items/{hrefs[number]}",
                "report/item_list.html",
                title=_titled(self.folder, "all items" if number == 0 else f"all items, page {number + 1}"),
                entries=entries,
                number=number,
                jumps=jumps,
                sql=self.sql,
                n_items=len(self._entries),
            )

    def _write_page(self, shown: Sequence[ItemDetail], draws: Mapping[int, TextsOfItem]) -> None:
        first, last = shown[0].item_id, shown[-1].item_id
        self.folder.page(
            self.pages.href(first).partition("#")[0],
            "report/item.html",
            title=_titled(self.folder, f"item {first}" if first == last else f"items {first} to {last}"),
            items=shown,
            pairs=self.pairs,
            marks_words=self.marks_words,
            draws=draws,
            earlier=self._neighbour(first, -1),
            later=self._neighbour(last, 1),
        )

    def _neighbour(self, item_id: int, step: int) -> tuple[str, int] | None:
        """Where the item before or after stands, from the folder of items, and its id; None at either end."""
        place = bisect_left(self.pages.item_ids, item_id) + step
        if not 0 <= place < len(self.pages.item_ids):
            return None
        neighbour = self.pages.item_ids[place]
        return self.pages.href(neighbour).removeprefix("items/"), neighbour


def read_item_pages(reader: RunReader) -> ItemPages:
    """Where the run's items will stand."""
    return ItemPages([row.item_id for row in reader.rows(ItemId, "item_ids")])


def item_details(reader: RunReader, pages: ItemPages) -> Iterator[list[ItemDetail]]:
    """All items in order, some at a time."""
    for ids in pages.batches():
        yield reader.rows(ItemDetail, "item_details", first=ids[0], last=ids[-1])


def _titled(folder: ReportFolder, what: str) -> str:
    return f"{folder.run.title}: {what}"
