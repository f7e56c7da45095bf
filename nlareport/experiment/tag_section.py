"""The section `tags`: what is said of items by name, from a column of the corpus or by a query on the run file."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from nlareport.experiment.section import Section
from nlareport.rows.tag_rows import name_fault


def _no_fault(name: str) -> str:
    """The name, if a tag may have it."""
    if (fault := name_fault(name)) is not None:
        raise ValueError(fault)
    return name


TagName = Annotated[str, AfterValidator(_no_fault)]


class TagSource(Section):
    """Where one tag comes from."""

    column: str | None = Field(default=None, min_length=1)
    """A column of the corpus: what it says of a document is said of all items in it."""
    query: str | None = Field(default=None, min_length=1)
    """A SELECT on the run file with two columns, `item_id` and the value; an item that it does not give has no such
    tag. It is asked whenever the run is scored."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "TagSource":
        if (self.column is None) == (self.query is None):
            raise ValueError("needs either a column of the corpus or a query on the run file; give one of them")
        return self


Tags = dict[TagName, TagSource]
