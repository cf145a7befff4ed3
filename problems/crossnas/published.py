"""What the paper of CrossNAS prints about itself and about others (arXiv 2505.22868, Tables 2 to 4).

Figure 5 of the paper has no numbers: of its points only the two of Table 2 are known.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from moopim.constants import constant, read_table
from moopim.errors import ConfigError

__all__ = ["COLUMNS", "TABLES", "published"]

COLUMNS = {
    "method": "whose network it is",
    "accuracy": "share of the test images that are told right on the chip",
    "energy_mJ": "energy of an image (mJ)",
    "latency_ms": "time of an image (ms)",
    "edp_mJ_ms": "energy times latency (mJ ms)",
    "area_mm2": "area of the chip (mm2)",
    "search_h": "time of the search (h)",
    "quoted": "whether the figures are those of a publication",
    "source": "where the figures come from",
}
"""Columns of the tables, and what they hold; figures that are not known are NaN."""

TABLES = (2, 3, 4)
"""Numbers of the tables."""

_PERCENT_DIGITS = 4  # of an accuracy, as a share


def published(table: int) -> pd.DataFrame:
    """Reads a table of the paper.

    Args:
        table: Its number: 2 for other searches on CIFAR-10, 3 and 4 for well-known networks on CIFAR-10 and CIFAR-100.

    Returns:
        One row per row of the table, in its order, with the columns of `COLUMNS`; every ``quoted`` is True.

    Raises:
        ConfigError: If there is no such table, or the file of figures is damaged.

    Example:
        >>> from moopim.problems.crossnas.published import published
        >>> published(3).set_index("method").loc["ResNet18", ["accuracy", "edp_mJ_ms"]].tolist()
        [0.897, 4.75]
    """
    if table not in TABLES:
        raise ConfigError(f"table {table!r} of CrossNAS is not known; expected one of {', '.join(map(str, TABLES))}")
    content = read_table("moopim.problems.crossnas", "published.toml")[f"table{table}"]
    rows = [_read_row(row, content["columns"], content["about"]) for row in content["rows"]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _read_row(row: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]], about: str) -> dict[str, Any]:
    """A row with the columns of `COLUMNS`; figures that it does not have are left out."""
    found = {
        name: float(constant(f"{name} of {row['method']}", {**column, "value": row[name]}))
        for name, column in columns.items()
        if name in row
    }
    found["accuracy"] = round(found.pop("accuracy_percent") / 100, _PERCENT_DIGITS)
    source = f"{columns['accuracy_percent']['source']} ({about}): {row['work']}"
    return {"method": row["method"], **found, "quoted": True, "source": source}
