"""Writes a finished run in which every text from outside does harm if it is taken for markup, code or a formula.

Takes the run of `made_runs`, and puts such a text into every text column whose words are not the schema's own.
"""

import json
from pathlib import Path

import duckdb

from support.made_runs import write_computed_run

HARM = "document.documentElement.dataset.harmed='yes'"
MEGABYTE = "Wasserstraßenbau" * 65_536
ACCENTS = "o" + "\u0308" * 300
PAYLOADS = (
    f"<svg/onload={HARM}>",
    f"</textarea></title></script><script>{HARM}</script>",
    f'x" onpointerover="{HARM}" onfocus="{HARM}" tabindex="0',
    f"x' onclick='{HARM}' autofocus='",
    f"JaVaScRiPt:{HARM}//",
    f"data:text/html,<script>{HARM}</script>",
    "{{ 7 * 191 }}{% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}${7 * 191}",
    f"]]><!--><iframe srcdoc='<script>parent.{HARM}</script>'>",
    f"</option></select><details open ontoggle={HARM}>",
    "\u202eright to left\u2066 and never back, \u0000nul, \u001b]8;;http://example.org\u0007link",
    "שלום עולם, ‏مرحبا بالعالم 0.731",
    f"Zalgo {ACCENTS} here",
    "\u200b\u2060" * 400 + "unseen",
    MEGABYTE,
    "M" * 300,
    '=HYPERLINK("http://example.org")',
    "+49 30 1234",
    "-0.25",
    "\u2028\u2029\u0085",
    "100%25 #a&b=c?d/e\\f g",
)
PAIR_IDS = {"smollm2-L20": f"a~b--<i onmouseover={HARM}>\"'&#%41", "qwen05-L16": "B" * 300 + "/../" + ACCENTS}
OUR_WORDS = {
    "created_at", "experiment_yaml", "finish", "kind", "measure", "method", "nlareport_version", "query", "reason",
    "reducer", "role", "run_id", "stratum", "subset", "claim_id", "pair_id", "source", "target", "doc_id",
}  # fmt: skip
"""Text columns that hold names of the schema, or ids that tie rows together and are changed with them."""
N_ITEMS = len(PAYLOADS)


def write_hostile_run(path: Path, seed: int = 7) -> Path:
    """The run file, with measures, ablations and baselines; the longest payloads stand in few rows."""
    write_computed_run(path, n_items=N_ITEMS, seed=seed)
    with duckdb.connect(str(path)) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() "
            "WHERE data_type = 'VARCHAR' AND schema_name = 'main' AND NOT internal AND table_name IN "
            "(SELECT table_name FROM duckdb_tables()) ORDER BY column_name = 'context', table_name, column_name"
        ).fetchall()
        for number, (table, column) in enumerate(columns):
            _spoil(connection, number, table, column)
        environment = json.loads(connection.execute("SELECT environment FROM run").fetchall()[0][0])
        environment |= {f"key {text[:200]}": text for text in PAYLOADS} | {"device": PAYLOADS[1], "dtype": MEGABYTE}
        connection.execute("UPDATE run SET environment = ?", [json.dumps(environment)])
        connection.execute("UPDATE run SET title = ?", [f"{PAYLOADS[1]} {PAYLOADS[10]} {'T' * 300}"])
    return path


def _spoil(connection: duckdb.DuckDBPyConnection, number: int, table: str, column: str) -> None:
    if column in ("pair_id", "source", "target"):
        for old, new in PAIR_IDS.items():
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", [new, old])
    elif column == "doc_id":
        place = f"CAST(split_part({column}, ':', 3) AS INTEGER)"
        connection.execute(
            f"UPDATE {table} SET {column} = substr(?[1 + {place} % {len(PAYLOADS)}], 1, 2000) || ':' || {place}",
            [list(PAYLOADS)],
        )
    elif column not in OUR_WORDS:
        # The item's token stays at the end of its context, so that it is marked there.
        end = " || token" if column == "context" else ""
        text = f"?[1 + (rowid + {number}) % {len(PAYLOADS)}]{end}"
        connection.execute(f"UPDATE {table} SET {column} = {text} WHERE {column} IS NOT NULL", [list(PAYLOADS)])
