"""Reads files that may be gzipped: `rows.jsonl.gz` gives what `rows.jsonl` would.

Takes a path, returns bytes or text of bounded length. A small file that unpacks to gigabytes is refused.
"""

import gzip
import zlib
from pathlib import Path

from nlareport.errors import NlareportError
from nlareport.files.given_files import not_utf8, open_given, text_given
from nlareport.shown import brief

GZ = ".gz"


def is_gzipped(path: Path) -> bool:
    """Whether the file's name says that it is gzipped."""
    return path.suffix.lower() == GZ


def inner_ending(path: Path) -> str:
    """The ending that tells what a file holds: of `rows.CSV.gz` it is `.csv`."""
    return Path(path.stem).suffix.lower() if is_gzipped(path) else path.suffix.lower()


def bytes_unpacked(path: Path, refusal: type[NlareportError], advice: str, most_bytes: int) -> bytes:
    """The content of a file that may be gzipped.

    Raises:
        NlareportError: as `refusal`: it is no ordinary file, is damaged, or holds more than `most_bytes`.
    """
    with open_given(path, refusal, advice) as file:
        try:
            source = gzip.GzipFile(fileobj=file) if is_gzipped(path) else file
            content = source.read(most_bytes + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise refusal(f"{path}: is damaged or not gzipped ({brief(error)}). {advice}") from error
        except OSError as error:
            raise refusal(f"{path}: cannot be read ({error.strerror}). {advice}") from error
    if len(content) > most_bytes:
        raise refusal(f"{path}: holds more than {most_bytes:,} bytes, the most that is read here. {advice}")
    return content


def text_unpacked(path: Path, refusal: type[NlareportError], advice: str, most_bytes: int) -> str:
    """The UTF-8 text of a file that may be gzipped, without a byte order mark.

    Raises:
        NlareportError: as `refusal`: as for `bytes_unpacked`, or it is not UTF-8 text.
    """
    if not is_gzipped(path):
        return text_given(path, refusal, advice, most_bytes)
    content = bytes_unpacked(path, refusal, advice, most_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refusal(f"{path}, line {line}: {not_utf8(error)}") from error
