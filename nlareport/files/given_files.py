"""Opens files that a user names, and refuses what is no ordinary file: pipes, devices, folders, files too large.

Takes a path and the error to refuse with, returns bytes, text or an open file.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from nlareport.errors import NlareportError

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
    (stat.S_ISSOCK, "is a socket"),
)
PARQUET = "is a Parquet file"
GZIP = "is compressed with gzip: decompress it with gunzip"
# First bytes, their offset, and what kind of file holds them.
_SIGNATURES = (
    (b"DUCK", 8, 'is a DuckDB database, as run files are: "nlareport render", "check", "query" and "export" take it'),
    (b"PAR1", 0, PARQUET),
    (b"ARROW1", 0, "is an Arrow file"),
    (b"\x1f\x8b", 0, GZIP),
    (b"\x28\xb5\x2f\xfd", 0, "is compressed with zstd: decompress it with unzstd"),
    (b"BZh", 0, "is compressed with bzip2: decompress it with bunzip2"),
    (b"\xfd7zXZ\x00", 0, "is compressed with xz: decompress it with unxz"),
    (b"PK\x03\x04", 0, "is a zip archive: unpack it"),
    (b"PK\x05\x06", 0, "is an empty zip archive"),
    (b"SQLite format 3\x00", 0, "is an SQLite database"),
    (b"%PDF-", 0, "is a PDF"),
    (b"\x89PNG", 0, "is a picture"),
    (b"\xff\xfe\x00\x00", 0, "is UTF-32 text: save it as UTF-8"),
    (b"\xff\xfe", 0, "is UTF-16 text, which some Windows editors call Unicode: save it as UTF-8"),
    (b"\xfe\xff", 0, "is UTF-16 text: save it as UTF-8"),
)
N_SIGNATURE_BYTES = 16


def refuse_no_file(path: Path, refusal: type[NlareportError], advice: str) -> None:
    """Pass when there is an ordinary file at the path, or a link to one; for libraries that open paths themselves.

    Raises:
        NlareportError: as `refusal`: it is not there, cannot be looked at, or is a folder, pipe, device or socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise refusal(f"{path}: cannot be read ({error.strerror}). {advice}") from error
    except ValueError as error:  # a NUL in the path
        raise refusal(f"{str(path)!r}: is no path. {advice}") from error
    if not stat.S_ISREG(mode):
        raise refusal(f"{path}: {_kind(mode)}, not a file. {advice}")


def open_given(path: Path, refusal: type[NlareportError], advice: str) -> BinaryIO:
    """The file at the path, open for reading bytes.

    Raises:
        NlareportError: as `refusal`: it is no ordinary file, or may not be read.
    """
    refuse_no_file(path, refusal, advice)
    try:
        # A pipe that took the file's place since must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise refusal(f"{path}: cannot be read ({error.strerror}). {advice}") from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise refusal(f"{path}: {_kind(mode)}, not a file. {advice}")
    return os.fdopen(descriptor, "rb")


def text_given(path: Path, refusal: type[NlareportError], advice: str, most_bytes: int) -> str:
    """The whole of a UTF-8 text, without the byte order mark it may begin with; line ends are unchanged.

    Raises:
        NlareportError: as `refusal`: it is no ordinary file, is larger than `most_bytes`, or is not UTF-8 text.
    """
    with open_given(path, refusal, advice) as file:
        try:
            content = file.read(most_bytes + 1)
        except OSError as error:
            raise refusal(f"{path}: cannot be read ({error.strerror}). {advice}") from error
        size = os.fstat(file.fileno()).st_size
    if said := what_it_is(content):
        raise refusal(f"{path}: {said}. {advice}")
    if len(content) > most_bytes:
        raise refusal(f"{path}: holds {size:,} bytes; {most_bytes:,} is the most that is read here. {advice}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refusal(f"{path}, line {line}: {not_utf8(error)}") from error


def what_it_is(head: bytes) -> str | None:
    """What a file is that begins with these bytes, as the predicate of a sentence; None when it may be UTF-8 text."""
    for signature, offset, said in _SIGNATURES:
        if head.startswith(signature, offset):
            return said
    # Protocol 2 and later begin so, and UTF-8 text never does.
    return "is a Python pickle, which is never opened here" if head[:1] == b"\x80" else None


def not_utf8(error: UnicodeDecodeError) -> str:
    """What to say of a place that is not UTF-8, and what to do; the caller names file and line."""
    return f"is not UTF-8 text (byte 0x{error.object[error.start]:02x}). Save it as UTF-8."


def _kind(mode: int) -> str:
    return next((said for is_kind, said in _KINDS if is_kind(mode)), "is no ordinary file")
