"""Compiled evaluation of the system model."""

from typing import Any


def evaluate_compiled(model: Any, tiers: Any, genes: Any, pace: Any) -> Any:
    """Nothing yet."""
    del model, tiers, genes, pace
