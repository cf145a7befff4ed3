"""Accuracies that have been paid for: kept beside the weights, for every later run over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import moopim
from moopim.columns import truth_values
from moopim.evaluator.metric_store import MetricStore

__all__ = ["paid_accuracies", "reused_text"]


def paid_accuracies(weights: Path, facts: Mapping[str, Any], device: str) -> MetricStore:
    """Opens the store of the accuracies of networks with some weights.

    Args:
        weights: File of the weights, such as ``supernet.safetensors``; the store is ``supernet.accuracies.sqlite``.
        facts: What the accuracies depend on.
        device: Where they are computed; another kind of processor may round otherwise.

    Returns:
        The store.
    """
    import torch  # an extra, and slow to load

    versions = {"moopim": moopim.__version__, "torch": torch.__version__, "device": torch.device(device).type}
    return MetricStore(weights.with_suffix(".accuracies.sqlite"), {**facts, **versions})


def reused_text(evaluations: pd.DataFrame, paid: int) -> str:
    """Says how many accuracies of a run were known before it.

    Args:
        evaluations: All of its evaluations.
        paid: Accuracies that were found since it began.

    Returns:
        A few words.
    """
    asked = int((evaluations["accuracy"].notna() & ~truth_values(evaluations, "cached")).sum())
    return f"{max(0, asked - paid):,} of {asked:,} accuracies were known before"
