"""Subsets of items by tag: one per value of a tag, such as the items whose `language` is `en`.

Takes `Tag` rows, returns `TagSubset`s. The kind of an item's token is a tag like any other, `stratum`, which every item
has; its subsets bear their value alone (`digits`), all others name and value (`language=en`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import get_args

from nlareport.rows.item_rows import Item, Stratum, Tag
from nlareport.rows.tag_rows import STRATUM

STRATA: tuple[str, ...] = get_args(Stratum)

MOST_VALUES = 12
"""Subsets of one tag: those of the values that the most items have. What identifies items, such as an address, has
thousands, and none of them says anything of a group."""
FEWEST_ITEMS = 2
"""With a value that a subset is made of."""
MOST_SUBSETS = 60
"""Of all tags together but `stratum`. Whole tags are taken, in order of name, as long as there is room for them."""


@dataclass(frozen=True, slots=True)
class TagSubset:
    """The items that one tag says one thing of."""

    name: str
    value: str
    item_ids: frozenset[int]

    @property
    def subset(self) -> str:
        """What it is called among the subsets of a cell."""
        return self.value if self.name == STRATUM else f"{self.name}={self.value}"


def stratum_subsets(items: Iterable[Item]) -> list[TagSubset]:
    """The items by the kind of their token; a kind that no item has is an empty subset."""
    members: dict[str, set[int]] = {stratum: set() for stratum in STRATA}
    for item in items:
        members[item.stratum].add(item.item_id)
    return [TagSubset(STRATUM, stratum, frozenset(item_ids)) for stratum, item_ids in members.items()]


def tag_subsets(tags: Iterable[Tag]) -> list[TagSubset]:
    """Tag by tag in order of name, and the values of each in order: as numbers where all are, else as texts."""
    members: dict[tuple[str, str], set[int]] = defaultdict(set)
    for tag in tags:
        members[tag.name, tag.value].add(tag.item_id)
    found: list[TagSubset] = []
    for name, keys in groupby(sorted(members), key=lambda key: key[0]):
        sizes = Counter({value: len(members[name, value]) for _, value in keys})
        chosen = _frequent([value for value in sizes if sizes[value] >= FEWEST_ITEMS], sizes)
        if len(found) + len(chosen) <= MOST_SUBSETS:
            found += [TagSubset(name, value, frozenset(members[name, value])) for value in chosen]
    return found


def _frequent(values: Iterable[str], sizes: Counter[str]) -> list[str]:
    """The most frequent of a tag's values, in the order in which they are shown."""
    return in_order(sorted(values, key=lambda value: (-sizes[value], value))[:MOST_VALUES])


def in_order(values: Sequence[str]) -> list[str]:
    """The values as numbers where all of them are numbers, so that layer 8 comes before layer 12; else as texts."""
    try:
        return sorted(values, key=lambda value: (float(value), value))
    except ValueError:
        return sorted(values)
