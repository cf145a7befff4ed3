"""Well-known networks on the planar chip, and the tables of CrossNAS with networks of one's own beside the others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from moopim.errors import ConfigError, unknown_name
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.model import evaluate_planar
from moopim.problems.crossnas.goals import reference_circuit
from moopim.problems.crossnas.published import COLUMNS, published
from moopim.workload import network_table

__all__ = ["NETWORKS", "baselines", "comparison"]

NETWORKS = {"AlexNet": "alexnet", "VGG16": "vgg16", "ResNet18": "resnet18"}
"""The networks of Tables 3 and 4, and their names in `moopim.workload`."""

_CLASSES = {3: 10, 4: 100}


def baselines(
    classes: int = 10,
    profile: str = "paper",
    crossbar: int | None = None,
    adc_bits: int | None = None,
    dac_bits: int | None = None,
    mode: str = "compat",
    accuracies: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Evaluates AlexNet, VGG16 and ResNet18 for images of 32x32 with 9-bit weights and activations.

    The circuit that is taken where none is given is the one that meets Tables 3 and 4 of CrossNAS to the last digit.

    Args:
        classes: Classes that the networks tell apart.
        profile: Chip to start from: cur, or paper for that of CrossNAS's tables.
        crossbar: Rows and columns of a crossbar.
        adc_bits: Resolution of an ADC (bit).
        dac_bits: Resolution of a DAC (bit).
        mode: ``compat`` or ``physical``, see `moopim.hardware.planar.model.evaluate_planar`.
        accuracies: Accuracies that were measured, as shares, by name of `NETWORKS`; NaN where not given.

    Returns:
        One row per network with the columns of `moopim.problems.crossnas.published.COLUMNS`; no ``quoted`` is True.

    Raises:
        ConfigError: If a value is not allowed, a name is unknown or an accuracy is none.
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
        figures = {
            "energy_mJ": totals["energy"][0],
            "latency_ms": totals["latency"][0],
            "edp_mJ_ms": totals["edp"][0],
            "area_mm2": totals["area"][0],
        }
        about = {"method": name, "quoted": False, "source": f"{source}, {classes} classes"}
        rows.append({**figures, **about, "accuracy": given.get(name, np.nan)})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"search_h": np.float64})


def comparison(table: int, ours: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Puts networks of one's own into a table of CrossNAS, and says how much larger the EDP of the other rows is.

    Args:
        table: Number of the table: 2, 3 or 4.
        ours: One's own networks, one row each, with at least the columns ``method`` and ``edp_mJ_ms``, and as many of
            the others as are known; such as from `baselines`.
        others: What else was evaluated with moopim; by default `baselines` for the classes of Tables 3 and 4, and
            nothing for Table 2.

    Returns:
        One's own rows, then the others, then the published ones, with the columns of
        `moopim.problems.crossnas.published.COLUMNS` and one more for each of one's own: ``edp_over <method>``, the EDP
        of a row divided by that of this method, as in the paper's text; above 1 where one's own is smaller. The quoted
        rows are for CIFAR: the ratio means something where one's own network is for it, too.

    Raises:
        ConfigError: If there is no such table, ``ours`` lacks a column, has a method twice or an EDP that is not
            positive.
    """
    quoted = published(table)
    for column in ("method", "edp_mJ_ms"):
        if column not in ours.columns:
            raise unknown_name("column", column, map(str, ours.columns))
    for method in ours["method"][ours["method"].duplicated()]:
        raise ConfigError(f"method {method!r} is there twice; expected one row of each")
    for row in ours[~(ours["edp_mJ_ms"] > 0)].itertuples():
        raise ConfigError(f"EDP of {row.method!r} is {row.edp_mJ_ms!r}; expected a positive number (mJ ms)")
    if others is None and table in _CLASSES:
        others = baselines(_CLASSES[table])
    own = ours.assign(quoted=False, source=ours["source"] if "source" in ours.columns else "moopim")
    parts = [own, quoted] if others is None else [own, others, quoted]
    # Columns that are empty in a part would be of no type: each gets its own.
    frame = pd.concat([part.reindex(columns=list(COLUMNS)).astype(quoted.dtypes) for part in parts], ignore_index=True)
    for method, edp in zip(ours["method"], ours["edp_mJ_ms"], strict=True):
        frame[f"edp_over {method}"] = frame["edp_mJ_ms"] / edp
    return frame
