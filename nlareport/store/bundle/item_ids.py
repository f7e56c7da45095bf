"""Numbers the items of results made elsewhere, whose ids may be texts such as `0706e25d-query_last-3`.

Takes the ids of one table after the other, returns whole numbers: the ids themselves where they are such, else the
places in which the texts first come.
"""

import re
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


class ItemNumbers:
    """One numbering for all tables of a run."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._are_numbers_met = False

    def numbered(self, ids: Sequence[Any]) -> Sequence[Any]:
        """The ids of a table as numbers where any of them is a text; as they are where none is."""
        if not any(isinstance(value, str) and _is_word(value) for value in ids):
            self._are_numbers_met = self._are_numbers_met or any(value is not None for value in ids)
            return ids
        return [None if value is None or value == "" else self.number_of(value) for value in ids]

    def number_of(self, value: Any) -> Any:
        """The number of one text id; what is no text and no number, such as a list, stays for others to refuse."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        return self._numbers.setdefault(str(value), len(self._numbers))

    @property
    def texts(self) -> dict[int, str]:
        """The text of each number; empty where ids are numbers themselves."""
        return {number: text for text, number in self._numbers.items()}

    @property
    def is_mixed(self) -> bool:
        """Whether one table has texts and another numbers alone, of which nobody knows what they have in common."""
        return bool(self._numbers) and self._are_numbers_met


def _is_word(value: str) -> bool:
    return bool(value.strip()) and value.strip().lower() not in _NO_IDS and not _NUMBER.fullmatch(value)


_NO_IDS = {"nan", "inf", "-inf", "infinity", "-infinity"}
"""Texts that stand for a missing number, not for an item."""
