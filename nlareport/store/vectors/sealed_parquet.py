"""Parquet files that carry checksums of themselves, so that a single flipped bit is noticed, and where it is.

Takes a table, returns the bytes of one ordinary Parquet file, and the reverse. Every column of every row group has a
digest in the file's own metadata; one more is of that metadata. So the file stays whole or absent in one piece, other
tools read it as ever, and whoever wants one column checks that column alone. Knows no folder and no run.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_A_GROUP = 1024
CHUNKS_KEY, FOOTER_KEY, NOTES_KEY = "nlareport.chunk_digests", "nlareport.footer_digest", "nlareport.notes"
DIGEST_BYTES = 16
_MARK = b"nlareport-footer-blake2b:"
_BLANK = b"0" * (2 * DIGEST_BYTES)
_MAGIC = b"PAR1"
_TAIL = 1 << 20
"""Bytes at the end of a file in which the mark is looked for when the footer's own length cannot be believed."""


class SealBroken(ValueError):
    """The file is not what was written; the message says which of its parts."""


def seal(table: pa.Table, notes: Mapping[str, str]) -> bytes:
    """The table as one Parquet file with its checksums; every column has to be flat, or a list of numbers."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, compression="zstd") as writer:
        starts = range(0, max(1, len(table)), ROWS_A_GROUP)
        for start in starts:
            writer.write_table(table.slice(start, ROWS_A_GROUP))
        # Of the length they will have, so that nothing moves when the digests are filled in.
        blank_digests = _BLANK * (len(starts) * len(table.schema))
        writer.add_key_value_metadata({NOTES_KEY: json.dumps(dict(notes), sort_keys=True)})
        writer.add_key_value_metadata({CHUNKS_KEY: blank_digests.decode()})
        writer.add_key_value_metadata({FOOTER_KEY: (_MARK + _BLANK).decode()})
    content = bytearray(sink.getvalue())
    metadata = pq.read_metadata(pa.BufferReader(bytes(content)))
    digests = b"".join(_digest(content[start:end]) for _, _, start, end in _chunks(metadata))
    _fill(content, content.rindex(blank_digests), digests)
    footer_start = len(content) - 8 - _footer_length(content)
    _fill(content, content.rindex(_MARK) + len(_MARK), _digest(content[footer_start:]))
    return bytes(content)


class SealedFile:
    """A file that carries checksums, its footer known to be as written. Made by `open_sealed`."""

    def __init__(self, file: BinaryIO, size: int, metadata: pq.FileMetaData, footer: bytes) -> None:
        self.metadata = metadata
        self._file, self._size, self._footer = file, size, footer

    @property
    def notes(self) -> dict[str, str]:
        """What the writer had to say of the file."""
        return dict(json.loads(self.metadata.metadata[NOTES_KEY.encode()]))

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """The named columns, or all of them, parsed from the very bytes whose digests were compared.

        Raises:
            SealBroken: a column's bytes are not what was written; its row group is named.
        """
        # Only the wanted columns are read; pages that nobody touches take no memory.
        content = bytearray(self._size)
        _fill(content, self._size - len(self._footer), self._footer)
        stored = self.metadata.metadata[CHUNKS_KEY.encode()]
        for number, (group, name, start, end) in enumerate(_chunks(self.metadata)):
            if columns is not None and name not in columns:
                continue
            self._file.seek(start)
            chunk = self._file.read(end - start)
            if _digest(chunk) != stored[number * len(_BLANK) :][: len(_BLANK)]:
                n_groups = self.metadata.num_row_groups
                raise SealBroken(f"row group {group + 1} of {n_groups}, column {name}: its checksum differs")
            _fill(content, start, chunk)
        return pq.ParquetFile(pa.BufferReader(pa.py_buffer(content)), metadata=self.metadata).read(columns)

    def refuse_any_change(self) -> None:
        """Pass when every byte of the file is as written.

        Raises:
            SealBroken: it is not.
        """
        self.table()
        self._file.seek(0)
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise SealBroken("its first bytes are not those of a Parquet file")
        end = max(end for *_, end in _chunks(self.metadata))
        if strange := self._size - len(self._footer) - end:
            raise SealBroken(f"it holds {strange} bytes more than were written")


def open_sealed(file: BinaryIO) -> SealedFile | None:
    """The file with its footer compared, or None when it carries no checksums.

    Raises:
        SealBroken: its footer is not what was written.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = _footer_length(tail)
    if length + 8 > len(tail) and length + 8 <= size:
        file.seek(size - length - 8)
        tail = file.read(length + 8)
    footer = tail[-(length + 8) :] if length + 8 <= len(tail) else b""
    if _MARK not in footer and FOOTER_KEY.encode() not in footer:
        if _MARK in tail:
            raise SealBroken("its footer is damaged")
        return None
    return _with_sound_footer(file, size, footer)


def _with_sound_footer(file: BinaryIO, size: int, footer: bytes) -> SealedFile:
    place = footer.rfind(_MARK) + len(_MARK)
    blanked = bytearray(footer)
    blanked[place : place + len(_BLANK)] = _BLANK
    if _MARK not in footer or _digest(blanked) != footer[place : place + len(_BLANK)]:
        raise SealBroken("its footer is damaged")
    return SealedFile(file, size, pq.read_metadata(pa.BufferReader(footer)), footer)


def _chunks(metadata: pq.FileMetaData) -> Iterator[tuple[int, str, int, int]]:
    """Row group, column, first byte and the byte after the last of everything stored, in order."""
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(place)
            start = min(offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset)
            yield group, chunk.path_in_schema.partition(".")[0], start, start + chunk.total_compressed_size


def _footer_length(tail: Any) -> int:
    return int.from_bytes(tail[-8:-4], "little")


def _fill(content: bytearray, start: int, what: bytes) -> None:
    content[start : start + len(what)] = what


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest().encode()
