"""What tags say of items: the texts that their names and values may be, and the table of differences between values.

Takes a name or a value, returns what is wrong with it, as the rest of a sentence, or None. Names and values are short
texts on one line, so that pages, queries and files can show them.
"""

from dataclasses import dataclass

from nlareport.rows.declaration import table
from nlareport.rows.run_rows import PairId
from nlareport.shown import printable

MOST_NAME, MOST_VALUE = 100, 200
"""Characters."""

STRATUM = "stratum"
"""The name of the tag that every item has: the kind of its token, digits, punctuation or prose."""


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a tag."""
    if name == STRATUM:
        return "is the name of what every item has, the kind of its token; choose another name"
    if "=" in name:
        return "holds an equals sign, which parts a tag's name from its value; choose another name"
    return _text_fault(name, MOST_NAME)


def value_fault(value: str) -> str | None:
    """What is wrong with the value of a tag."""
    return _text_fault(value, MOST_VALUE)


def _text_fault(text: str, most: int) -> str | None:
    if not text.strip():
        return "is empty; leave the tag out where there is nothing to say"
    if len(text) > most:
        return f"has {len(text):,} characters; {most} are the most a tag may have, so say it in fewer"
    if printable(text) != text or text != text.strip() or set(text) & {"\t", "\n"}:
        return "holds line breaks, control characters, invisible ones or spaces at an end; write it without them"
    return None


@table(key=("source", "target", "name", "value", "other_value"), bundle="tag_differences")
@dataclass(frozen=True, slots=True)
class TagDifference:
    """How much better a cell does on the items with one value of a tag than on those with another."""

    source: PairId
    target: PairId
    name: str
    """Of the tag."""
    value: str
    other_value: str
    n_documents: int
    """That hold scored items of both values where the difference is paired; of either, where it is not."""
    is_paired: bool
    """Whether it is the mean over documents of the difference within each; else the difference of the two cells."""
    difference: float
    """fve_nrm with `value` minus fve_nrm with `other_value`."""
    ci_low: float | None
    """95% percentile bootstrap over documents. None where one of the two comes from fewer than two documents."""
    ci_high: float | None
