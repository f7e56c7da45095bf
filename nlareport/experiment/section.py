"""What all sections of an experiment file have in common: strict keys, and the names and numbers they may hold."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nlareport.shown import printable


class Section(BaseModel):
    """A section of the file; an unknown key in it is a fault, not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


MOST_WHOLE = 2**31 - 1
"""Largest whole number that an integer column of a run file holds."""

Index = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _no_folder(name: str) -> str:
    """The name, unless it means the current or the parent folder to a file system."""
    if name in {".", ".."}:
        raise ValueError("stands for a folder; choose another name")
    return name


def _writing(name: str) -> str:
    """The name, unless it holds invisible characters, with which two names may look alike."""
    if printable(name) != name or name != name.strip() or set(name) & {"\t", "\n"}:
        raise ValueError("holds control characters, invisible ones or spaces at an end; choose another name")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=100), AfterValidator(_no_folder)]
"""The name of a run or a pair of an experiment: it is used in addresses and file names."""

ForeignName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_folder), AfterValidator(_writing)]
"""The name of a run or a pair that was made elsewhere: any text on one line. Files and addresses use a form of it
(`file_names`)."""
