"""Writes the SQL console: a page whose reader can load an engine and the run's tables, and run any query on them.

Takes the run's public copy; writes ``console.html`` and what it loads on request. No part of the engine is requested
before the reader presses the button, and nothing, not even a query, reaches another host.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlareport.ports import NamedQuery, PublicCopy, RunReader
from nlareport.render.content_security import CONSOLE_POLICY
from nlareport.render.origins import Origin, ask
from nlareport.render.report_folder import ReportFolder
from nlareport.render.site.reference import DictionaryColumn, by_table
from nlareport.render.template_environment import templates_folder
from nlareport.render.text_tables import script_literal

ENGINE = {"api": "duckdb-api.js", "worker": "duckdb-worker.js.gz", "wasm": "duckdb-eh.wasm.gz"}
LICENCES = "LICENSES.txt"
HEADINGS = {
    "report": "Figures and tables of the report",
    "claim_": "Sentences of the report",
    "audits/": "Audits, which answer with no row",
    "other": "Others",
}
"""What the page's list puts queries under: by the stem of their name, else by whether the report asks them."""
AT_ONCE = 4_000_000
"""Bytes of a run file up to which the console offers its texts first: loading them takes no longer than the engine."""


@dataclass(frozen=True, slots=True)
class Loadable:
    """A file the page loads on request."""

    href: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class QueryGroup:
    """Queries to start from, under one heading."""

    heading: str
    queries: list[NamedQuery]


def add_console(folder: ReportFolder, reader: RunReader, copy: PublicCopy, origins: list[Origin]) -> Path:
    """The console's page, with everything it loads beside it."""
    engine = {part: _engine_file(folder, name) for part, name in ENGINE.items()}
    tables = {name: _table_file(folder, name, packed) for name, packed in copy.tables.items()}
    facts = _table_file(folder, "environment_fact", copy.environment_facts)
    whole = _whole_run(folder, copy)
    completed = {name: tables[name] for name in copy.completed if name in tables}
    groups = _groups(copy.queries, {origin.query for origin in origins})
    settings = {
        "engine": _described(engine),
        "tables": _described(tables),
        "facts": _described({"environment_fact": facts}),
        "whole": _described({"run": whole, **completed}) if whole else None,
        "schema": copy.schema,
        "viewsOfRun": copy.views_of_run,
        "withoutTexts": copy.without_texts,
        "queries": _starting_points(copy.queries, origins, reader),
    }
    columns = ask(reader, DictionaryColumn, "data_dictionary")
    return folder.page(
        "console.html",
        "report/console.html",
        title=f"Query the data: {folder.run.title}",
        scripts=[
            _settings_script(folder, settings),
            folder.script("report/console_engine.js"),
            folder.script("report/console.js"),
        ],
        policy=CONSOLE_POLICY,
        engine_bytes=sum(file.n_bytes for file in engine.values()),
        figures_bytes=sum(file.n_bytes for file in [*tables.values(), facts]),
        whole_bytes=sum(file.n_bytes for file in [whole, facts, *completed.values()]) if whole else None,
        whole_first=whole is not None and whole.n_bytes <= AT_ONCE,
        groups=groups,
        tables=[rows for _, rows in by_table(columns.rows)],
        columns=columns,
        licences=folder.shared_asset(LICENCES, _vendored(LICENCES)),
    )


def _engine_file(folder: ReportFolder, name: str) -> Loadable:
    content = _vendored(name)
    return Loadable(folder.shared_asset(name, content), len(content))


def _table_file(folder: ReportFolder, table: str, packed: bytes) -> Loadable:
    return Loadable(folder.asset(f"{table}.csv.gz", packed, "data"), len(packed))


def _whole_run(folder: ReportFolder, copy: PublicCopy) -> Loadable | None:
    if copy.run_file is None:
        return None
    return Loadable(folder.href(copy.run_file), copy.run_file.stat().st_size)


def _vendored(name: str) -> bytes:
    return (templates_folder() / "report" / "vendor" / name).read_bytes()


def _described(files: dict[str, Loadable]) -> dict[str, Any]:
    return {name: {"href": file.href, "bytes": file.n_bytes} for name, file in files.items()}


def _settings_script(folder: ReportFolder, settings: dict[str, Any]) -> str:
    """The settings as a classic script: such load from disk too, where fetch is blocked."""
    return folder.asset("console-data.js", f'"use strict";\nwindow.consoleData = {script_literal(settings)};\n', "data")


def _groups(queries: list[NamedQuery], asked: set[str]) -> list[QueryGroup]:
    """The queries as the page's list shows them: those of the report first."""
    members: dict[str, list[NamedQuery]] = {heading: [] for heading in HEADINGS.values()}
    for query in queries:
        kind = "report" if query.name in asked else "other"
        members[HEADINGS[next((stem for stem in ("claim_", "audits/") if query.name.startswith(stem)), kind)]] += [
            query
        ]
    return [QueryGroup(heading, found) for heading, found in members.items() if found]


def _starting_points(queries: list[NamedQuery], origins: list[Origin], reader: RunReader) -> dict[str, dict[str, Any]]:
    """Each query's text and needs, its parameters as the report asks them first, or the first pair and draw."""
    asked: dict[str, dict[str, Any]] = {}
    for origin in origins:
        asked.setdefault(origin.query, origin.parameters)
    first_pair = reader.frame("pair_table")["pair_id"][0]
    return {
        query.name: {
            "sql": query.sql,
            "parameters": asked.get(query.name)
            or {name: 0 if name == "draw" else first_pair for name in query.parameters},
            "needsTexts": query.needs_texts,
            "needsJson": query.needs_json,
        }
        for query in queries
    }
