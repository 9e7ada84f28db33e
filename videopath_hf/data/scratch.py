"""Tables that are too long for memory and of no use after the run."""

import sqlite3


def scratch_database(*tables: str) -> sqlite3.Connection:
    """A database in a temporary file that vanishes with it: SQLite keeps a few megabytes of it in memory.

    Args:
        tables (`str`): what `CREATE TABLE` takes, e.g. `ids (id TEXT PRIMARY KEY) WITHOUT ROWID`.
    """
    base = sqlite3.connect("", isolation_level=None)
    base.execute("PRAGMA synchronous=OFF")
    base.execute("PRAGMA journal_mode=OFF")
    for table in tables:
        base.execute(f"CREATE TABLE {table}")
    return base


class Seen:
    """Which texts came already; memory does not grow with their number."""

    def __init__(self) -> None:
        self._base = scratch_database("seen (text BLOB PRIMARY KEY) WITHOUT ROWID")
        self.count = 0

    def add(self, text: str) -> bool:
        """Note a text; whether it is new."""
        data = text.encode(errors="surrogatepass")  # paths may hold any bytes
        new = self._base.execute("INSERT OR IGNORE INTO seen VALUES (?)", (data,)).rowcount == 1
        self.count += new
        return new
