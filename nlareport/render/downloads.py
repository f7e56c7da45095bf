"""What a reader can take away: the answer of every query behind the report as CSV, and the whole run in three formats.

Enters origins and the files that the store wrote; leaves CSV files and the page that lists every download.
"""

import re

from nlareport.render.answers import Origin


def query_csv_name(origin: Origin) -> str:
    """Where the answer behind an origin stands as CSV, from the report's root: `downloads/queries/matrix.all.csv`."""
    values = [str(value) for _, value in sorted(origin.parameters.items())]
    stem = ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in [origin.query, *values])
    return f"downloads/queries/{stem}.csv"
