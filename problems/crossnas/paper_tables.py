"""Tables 2 to 4 of CrossNAS (arXiv 2505.22868): published rows, baseline networks on the planar chip, own rows.

Figure 5 of the paper gives no numbers: of its points only the two of Table 2 are known.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from moopim.constants import constant, read_table
from moopim.errors import ConfigError, unknown_name
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.problems.crossnas.objectives import reference_circuit
from moopim.workload import network_table

COLUMNS = {
    "method": "network or method",
    "accuracy": "top-1 accuracy on the test images on the chip, 0 to 1",
    "energy_mJ": "energy of an image (mJ)",
    "latency_ms": "latency of an image (ms)",
    "edp_mJ_ms": "energy-delay product (mJ ms)",
    "area_mm2": "area of the chip (mm2)",
    "search_h": "time of the search (h)",
    "quoted": "whether the numbers are those of a publication",
    "source": "source of the numbers",
}
"""Columns of the tables, and their contents; unknown numbers are NaN."""

TABLES = (2, 3, 4)
"""Numbers of the tables."""

NETWORKS = {"AlexNet": "alexnet", "VGG16": "vgg16", "ResNet18": "resnet18"}
"""Networks of Tables 3 and 4, and their names in `moopim.workload`."""

_CLASSES = {3: 10, 4: 100}
_PERCENT_DIGITS = 4  # of an accuracy, 0 to 1


def published_rows(table: int) -> pd.DataFrame:
    """Rows of a table as published.

    Args:
        table: Number of the table: 2 for other searches on CIFAR-10, 3 and 4 for well-known networks on CIFAR-10 and
            CIFAR-100.

    Returns:
        The rows in the order of the table: ``method``, ``accuracy`` (0 to 1), ``energy_mJ``, ``latency_ms``,
        ``edp_mJ_ms``, ``area_mm2``, ``search_h``, ``quoted`` (True) and ``source``.

    Raises:
        ConfigError: If the table is unknown.

    Example:
        >>> from moopim.problems.crossnas import published_rows
        >>> published_rows(3).set_index("method").loc["ResNet18", ["accuracy", "edp_mJ_ms"]].tolist()
        [0.897, 4.75]
    """
    if table not in TABLES:
        raise ConfigError(f"table {table!r} of CrossNAS is not known; expected one of {', '.join(map(str, TABLES))}")
    content = read_table("moopim.problems.crossnas", "published.toml")[f"table{table}"]
    rows = [_read_row(row, content["columns"], content["about"]) for row in content["rows"]]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def baseline_rows(
    classes: int = 10,
    profile: str = "paper",
    crossbar: int | None = None,
    adc_bits: int | None = None,
    dac_bits: int | None = None,
    mode: str = "compat",
    accuracies: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """AlexNet, VGG16 and ResNet18 for images of 32x32 on the planar chip, with 9-bit weights and activations.

    The default circuit reproduces Tables 3 and 4 of CrossNAS to the last digit.

    Args:
        classes: Number of classes.
        profile: Chip: cur, or paper for that of CrossNAS's tables.
        crossbar: Rows and columns of a crossbar.
        adc_bits: ADC resolution (bit).
        dac_bits: DAC resolution (bit).
        mode: ``compat`` or ``physical``, see `moopim.hardware.planar.evaluate_planar`.
        accuracies: Measured accuracies, 0 to 1, by ``AlexNet``, ``VGG16`` and ``ResNet18``; others are NaN.

    Returns:
        One row per network with the columns of `published_rows`; ``quoted`` is False.

    Raises:
        ConfigError: If a name is unknown or a value is not allowed.
    """
    given = {} if accuracies is None else dict(accuracies)
    for name, accuracy in given.items():
        if name not in NETWORKS:
            raise unknown_name("baseline", name, NETWORKS)
        if not 0 <= accuracy <= 1:
            raise ConfigError(f"accuracy {accuracy!r} of {name} is not allowed; expected a share, 0 .. 1")
    asked = {"crossbar": crossbar, "adc_bits": adc_bits, "dac_bits": dac_bits}
    circuit = reference_circuit() | {name: value for name, value in asked.items() if value is not None}
    chip = make_chip(profile, None, **circuit)
    converters = f"ADC {circuit['adc_bits']} bit, DAC {circuit['dac_bits']} bit"
    source = f"moopim, profile {profile}, crossbar {circuit['crossbar']}, {converters}, mode {mode}"
    rows = []
    for name, network in NETWORKS.items():
        totals = evaluate_planar(network_table(network, classes), chip, mode)
        rows.append(
            {
                "energy_mJ": totals["energy"][0],
                "latency_ms": totals["latency"][0],
                "edp_mJ_ms": totals["edp"][0],
                "area_mm2": totals["area"][0],
                "method": name,
                "quoted": False,
                "source": f"{source}, {classes} classes",
                "accuracy": given.get(name, np.nan),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"search_h": np.float64})


def paper_table(table: int, ours: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Table of CrossNAS with own networks above the baselines and the published rows.

    Args:
        table: Number of the table: 2, 3 or 4.
        ours: Own networks, one row each: ``method``, ``edp_mJ_ms`` and any other columns of `published_rows`.
        others: Further rows evaluated with moopim; by default `baseline_rows` for the classes of Tables 3 and 4, and
            none for Table 2.

    Returns:
        Own, further and published rows with the columns of `published_rows`, and for each own method a column
        ``edp_over METHOD``: the EDP of a row divided by that of the method, as in the paper's text. Published rows are
        for CIFAR: the ratio is meaningful for own networks for the same images.

    Raises:
        ConfigError: If the table is unknown, ``ours`` lacks a column, has a method twice, or an EDP is not above 0.
    """
    published = published_rows(table)
    for column in ("method", "edp_mJ_ms"):
        if column not in ours.columns:
            raise unknown_name("column", column, map(str, ours.columns))
    for method in ours["method"][ours["method"].duplicated()]:
        raise ConfigError(f"method {method!r} is there twice; expected one row of each")
    for row in ours[~(ours["edp_mJ_ms"] > 0)].itertuples():
        raise ConfigError(f"EDP of {row.method!r} is {row.edp_mJ_ms!r}; expected a positive number (mJ ms)")
    if others is None and table in _CLASSES:
        others = baseline_rows(_CLASSES[table])
    first = ours.assign(quoted=False, source=ours["source"] if "source" in ours.columns else "moopim")
    parts = [first, published] if others is None else [first, others, published]
    # Columns that are empty in a part would have no type: each gets that of the published one.
    frame = pd.concat(
        [part.reindex(columns=list(COLUMNS)).astype(published.dtypes) for part in parts], ignore_index=True
    )
    for method, edp in zip(ours["method"], ours["edp_mJ_ms"], strict=True):
        frame[f"edp_over {method}"] = frame["edp_mJ_ms"] / edp
    return frame


def _read_row(row: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]], about: str) -> dict[str, Any]:
    """Columns of a published row; unknown numbers are left out."""
    found = {
        name: float(constant(f"{name} of {row['method']}", {**column, "value": row[name]}))
        for name, column in columns.items()
        if name in row
    }
    found["accuracy"] = round(found.pop("accuracy_percent") / 100, _PERCENT_DIGITS)
    source = f"{columns['accuracy_percent']['source']} ({about}): {row['work']}"
    return {"method": row["method"], **found, "quoted": True, "source": source}
