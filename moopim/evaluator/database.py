"""SQLite files that may come from anybody: tables only, nothing that computes."""

import sqlite3

from moopim.errors import LogError

_COMPUTING = """
SELECT count(*) FROM sqlite_schema
WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' OR sql LIKE '% AS (%' OR sql LIKE '% AS(%'
"""


def check_plain(connection: sqlite3.Connection, what: str) -> None:
    """Raise LogError unless a database has plain tables only: views and triggers may compute without end."""
    if connection.execute(_COMPUTING).fetchone()[0]:
        raise LogError(f"{what} has views, triggers or computed columns; expected plain tables")
