"""The numbers that HuNT (Ogbogu et al., IEEE TCAD 2024) gives for its architectures."""

import pandas as pd

from moopim.constants import constant, read_table

__all__ = ["published", "published_layers", "published_peak"]


def published() -> pd.DataFrame:
    """Reads the claims of the paper.

    Returns:
        One row per number: ``name``, ``architecture`` (a name of `moopim.problems.hunt.baselines.ARCHITECTURES`),
        ``quantity``, ``statistic`` (``max`` or ``mean`` of the five networks, or one network), ``value``, ``unit`` and
        ``source`` (where it stands in the paper). Quantities that begin with ``over_`` are those of [R,R,F,S] divided
        by those of the architecture.

    Raises:
        ConfigError: If the file of figures is damaged.
    """
    rows = read_table("moopim.problems.hunt", "published.toml")["claims"]
    return pd.DataFrame([{**row, "value": float(constant(row["name"], {**row, "kind": "paper"}))} for row in rows])


def published_peak() -> float:
    """The hottest PE of FFFS in the paper (K)."""
    return float(published().set_index("name")["value"]["peak_FFFS"])


def published_layers() -> pd.DataFrame:
    """Reads where the paper has layers on the tiers R, R, F, S.

    Returns:
        One row per run, with ``workload``, ``first`` and ``last`` (numbers of layers, from 1), ``tier`` (from 1 at the
        heat sink) and ``source``.
    """
    return pd.DataFrame(read_table("moopim.problems.hunt", "published.toml")["layers"])
