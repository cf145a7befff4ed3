"""Accuracies that have been paid for: kept beside the weights, for every later run over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import moopim
from moopim.evaluator.metric_store import MetricStore

__all__ = ["paid_accuracies"]


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
