"""The wall to foreign libraries: whatever they raise over a stranger's files becomes one of our errors.

Transformers, tokenizers, safetensors and Jinja raise what the file makes them stumble over, a `KeyError` as likely as
a panic of Rust, so that the kinds cannot be listed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nlareport.errors import NlareportError
from nlareport.shown import printable

MOST_TOLD = 240
"""Characters of a foreign error that a message quotes."""


@contextmanager
def foreign_errors(refusal: type[NlareportError], what: str, advice: str) -> Iterator[None]:
    """Inside, a foreign error becomes `refusal`: `what` was tried, its first line, and the `advice`.

    Raises:
        NlareportError: as `refusal`.
    """
    try:
        yield
    except NlareportError:
        raise
    except BaseException as error:
        if is_an_end(error):
            raise
        raise refusal(f"{what} ({first_line(error)}). {advice}") from error


def is_an_end(error: BaseException) -> bool:
    """Whether the error ends the program or belongs to us, so that nobody may translate it."""
    # A panic of Rust derives from BaseException as well, and says nothing but that a file is broken.
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | NlareportError)


def first_line(error: BaseException) -> str:
    """What a foreign error says, without its tail of advice: one line that is safe to print."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    # `KeyError('added_tokens')` says nothing without its kind.
    said = line if " " in line else f"{type(error).__name__}: {line}" if line else type(error).__name__
    return printable(said[:MOST_TOLD]).rstrip(". ")
