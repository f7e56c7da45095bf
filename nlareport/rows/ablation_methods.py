"""Names of ablations: what an experiment may ask to be done to its explanations."""

import re
from typing import Literal, NamedTuple, NewType, cast

AblationMethod = NewType("AblationMethod", str)
"""What an experiment may ask to be done to its explanations: one of `WHOLE_TEXT_METHODS`, or a cut such as
``first_16_tokens``. What each does: stages/ablate.py."""
WHOLE_TEXT_METHODS = ("words_shuffled", "quotes_kept", "quotes_blanked", "digits_masked")
_CUT = re.compile(r"(first|last)_([1-9][0-9]*)_tokens")


class Cut(NamedTuple):
    """What a cut leaves of a text."""

    end: Literal["first", "last"]
    n_tokens: int


def cut_of(method: str) -> Cut | None:
    """What a method such as ``last_8_tokens`` leaves; None when the method is no cut."""
    found = _CUT.fullmatch(method)
    return None if found is None else Cut(cast(Literal["first", "last"], found[1]), int(found[2]))
