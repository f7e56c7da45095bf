"""Writes the reference pages: data dictionary, query catalogue and commands, as Markdown made from their sources.

Takes a reader, the queries' names and the commands; the same nlareport writes the same pages. They are committed, so
that they can be read without a build; a test fails when they are stale.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import click

from nlareport.errors import FolderOfOthers
from nlareport.files.atomic_files import write_whole
from nlareport.ports import RunReader
from nlareport.query_heads import QueryHead, query_head
from nlareport.rows.declaration import TABLES

NOTE = "<!-- Made by `nlareport site`; do not edit. -->"


@dataclass(frozen=True, slots=True)
class DictionaryColumn:
    """One column of a run file with its meaning (``data_dictionary``)."""

    table_name: str
    table_comment: str
    column_name: str
    data_type: str
    is_nullable: bool
    is_key: bool
    column_comment: str


def write_reference(folder: Path, reader: RunReader, query_names: Iterable[str], commands: click.Group) -> None:
    """Writes the three pages into a folder, which is made when it is not there.

    Raises:
        FolderOfOthers: a page stands there under one of their names that was not made here.
        FileUnwritable: the disk or the folder's permissions forbid it.
    """
    queries = [query_head(name, reader.sql(name)) for name in query_names]
    pages = {
        "data-dictionary.md": data_dictionary(reader.rows(DictionaryColumn, "data_dictionary")),
        "queries.md": query_catalogue(queries),
        "commands.md": command_reference(commands),
    }
    for name in pages:
        path = folder / name
        if path.is_symlink() or (path.exists() and not path.read_bytes().startswith(NOTE.encode())):
            raise FolderOfOthers(
                f"{path}: is no page that nlareport made, and one belongs there; move it away, or name another folder "
                "under extra.reference."
            )
    for name, page in pages.items():
        write_whole(folder / name, page.encode())


def data_dictionary(columns: Sequence[DictionaryColumn]) -> str:
    """Every table with its columns, in the order of the schema, and then every view."""
    lines = [
        "# Data dictionary",
        "A run is one DuckDB file with these tables. `nlareport export` writes them as Parquet, CSV or JSONL; any "
        "DuckDB of version 1.4 or later opens the file itself. The words are the comments that the file carries: "
        "`nlareport query FILE data_dictionary` prints them from yours. The views, the last of them, are "
        "worked out from the tables whenever they are asked, and not exported.",
        "What is not known, or does not apply, is NULL, and only in columns that say so; nothing is ever NaN.",
    ]
    for table, rows in by_table(columns):
        lines += [f"## `{table}`", rows[0].table_comment, "\n".join(_column_table(rows))]
    return _page(lines)


def by_table(columns: Iterable[DictionaryColumn]) -> list[tuple[str, list[DictionaryColumn]]]:
    """Each table with its columns, in the order in which the row types are declared, and then each view."""
    places = {declared.name: place for place, declared in enumerate(TABLES.values())}
    ordered = sorted(columns, key=lambda column: places.get(column.table_name, len(places)))
    return [(name, list(found)) for name, found in groupby(ordered, key=lambda column: column.table_name)]


def query_catalogue(queries: Sequence[QueryHead]) -> str:
    """Every named query with what it answers, its parameters, its rows and its text; audits apart."""
    lines = [
        "# Queries",
        "Every figure of a report is the answer of one of these queries, and the report shows it beside the figure. "
        "They run from the command line as well, by name or as SQL of your own:",
        "```sh\nnlareport query runs/pocket.duckdb matrix --param subset=all --format csv\n"
        'nlareport query runs/pocket.duckdb "SELECT source, avg(n_tokens) FROM explanation GROUP BY source"\n```',
        "A parameter is written `$name` and given with `--param name=value`. The rows name the Python type that the "
        "renderer reads them into; its fields say what absence means.",
    ]
    plain = [query for query in queries if not query.name.startswith("audits/")]
    audits = [query for query in queries if query.name.startswith("audits/")]
    lines += _query_section("Queries of the report", plain)
    lines += _query_section("Audits", audits, "An audit must return no row: what it returns is a fault in the file.")
    return _page(lines)


def command_reference(commands: click.Group) -> str:
    """Every command with its arguments, options and the variables that stand for them, and its worked example."""
    lines = [
        "# Commands",
        "Data goes to standard output, talk to standard error. A command ends with 0 when it is done, with 1 and one "
        "line on standard error for a fault in data or environment, with 2 for wrong usage. Stopped with Ctrl-C, it "
        "leaves files that the same command goes on with. Every option may be given as the environment variable named "
        "beside it.",
    ]
    for context, command in _commands(click.Context(commands, info_name="nlareport")):
        lines += [f"## `{context.command_path}`", *_command_lines(context, command)]
    return _page(lines)


def _page(blocks: Sequence[str]) -> str:
    return "\n\n".join([NOTE, *blocks]) + "\n"


def _column_table(columns: Sequence[DictionaryColumn]) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "| --- | --- | --- |"
    for column in columns:
        kind = f"{column.data_type}{', key' if column.is_key else ', may be NULL' if column.is_nullable else ''}"
        yield f"| `{column.column_name}` | {kind} | {_escaped(column.column_comment)} |"


def _query_section(title: str, queries: Sequence[QueryHead], about: str | None = None) -> list[str]:
    lines = [f"## {title}", *([about] if about else [])]
    for query in queries:
        lines += [
            f"### `{query.name}`",
            _escaped(query.purpose),
            f"Parameters: {_escaped(query.parameters)}<br>\nRows: {_escaped(query.rows)}",
            f'<details markdown="1">\n<summary>SQL</summary>\n\n```sql\n{query.sql}\n```\n\n</details>',
        ]
    return lines


def _commands(context: click.Context) -> Iterator[tuple[click.Context, click.Command]]:
    """Every command that does something, in the order of `--help`, with the context of its call."""
    group = context.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(context):
        command = group.commands[name]
        inner = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from _commands(inner)
        else:
            yield inner, command


def _command_lines(context: click.Context, command: click.Command) -> Iterator[str]:
    about, _, example = (command.help or "").partition("Example:")
    yield _escaped(about.strip())
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    if options := list(_options(context, command)):
        yield "\n\n".join(options)
    yield f"Example:\n\n```sh\n{' '.join(example.split())}\n```"


def _options(context: click.Context, command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None:
            written, meaning = record
            variable = f"`{parameter.envvar}`"
            yield f"`{written}`\n:   {_escaped(' '.join(meaning.split()))} {variable}"


def _escaped(text: str) -> str:
    """Plain text as Markdown that shows it as it is, also inside a table; what stands in backticks stays code."""
    return re.sub(r"([\\*\[\]|])", r"\\\1", text.replace("<", "&lt;").replace(">", "&gt;"))
