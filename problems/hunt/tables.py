"""Tables of the command ``moopim hunt``, as text that is Markdown, too."""

from collections.abc import Sequence

import pandas as pd

from moopim.hardware.stack.parameters import FACTOR_SETS
from moopim.problems.hunt.published import published

__all__ = ["UNITS", "claim_text", "comparison_tables", "markdown_table"]

UNITS = {"tops_per_W": "TOPS/W", "tops_per_mm2": "TOPS/mm²", "loss": "loss (%)"}
"""How quantities are called in tables."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a table with columns of even width; the first is aligned to the left, the others to the right.

    Args:
        header: Names of the columns.
        rows: The cells.

    Returns:
        The table in Markdown, without a line end.
    """
    lines = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def claim_text(claim: pd.Series) -> str:
    """Says what a published number is.

    Args:
        claim: A row of `moopim.problems.hunt.published.published`.

    Returns:
        Such as ``RRFS over SSSS, TOPS/W, best network``.
    """
    statistic = {"max": "best network", "mean": "mean of the networks"}.get(claim["statistic"], claim["statistic"])
    if claim["quantity"].startswith("over_"):
        return f"RRFS over {claim['architecture']}, {UNITS[claim['quantity'][5:]]}, {statistic}"
    what = {"loss": "loss of accuracy (%)", "peak_K": "hottest PE (K)"}.get(claim["quantity"])
    statistic = statistic.replace("best", "worst") if claim["quantity"] == "loss" else statistic
    calibrated = ", set by calibration" if claim["name"] in ("loss_FFFS", "loss_RRRS") else ""
    return f"{claim['architecture']}, {what or UNITS[claim['quantity']]}, {statistic}{calibrated}"


def comparison_tables(frame: pd.DataFrame) -> str:
    """Lays out a comparison for one network: what each architecture reaches, and what RRFS reaches over it.

    Args:
        frame: From `moopim.problems.hunt.comparison.compare`, of one network.

    Returns:
        One table each for TOPS/W, TOPS/mm2 and loss.
    """
    return "\n\n".join(_table(frame, quantity) for quantity in UNITS)


def _table(frame: pd.DataFrame, quantity: str) -> str:
    over = f"over_{quantity}"
    quantities = [quantity, over] if over in frame.columns else [quantity]
    header = [UNITS[quantity], "tiers", *FACTOR_SETS, "paper"]
    header += [f"RRFS over it: {FACTOR_SETS[0]}", *FACTOR_SETS[1:], "paper"][: 3 * len(quantities) - 3]
    rows = []
    for architecture, part in frame.groupby("architecture", sort=False):
        values = part.set_index("set")
        cells = [str(architecture), " ".join(dict.fromkeys(part["tiers"]))]
        for name in quantities:
            scale = 100 if name == "loss" else 1
            cells += [f"{scale * values[name][factors]:.3g}" for factors in FACTOR_SETS]
            cells.append(_paper(str(architecture), name))
        rows.append(cells)
    return markdown_table(header, rows)


def _paper(architecture: str, quantity: str) -> str:
    """What the paper says of an architecture over all networks; a dash if nothing."""
    claims = published()
    found = claims[(claims["architecture"] == architecture) & (claims["quantity"] == quantity)]
    words = {"max": "at most", "mean": "mean"}
    texts = [f"{words[claim['statistic']]} {claim['value']:g}" for _, claim in found.iterrows()]
    return ", ".join(texts) or "-"
