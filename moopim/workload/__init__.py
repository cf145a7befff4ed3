"""Layer tables of neural networks."""

from moopim.workload.layers import IMAGE, Layer, LayerKind, LayerTable, make_table, stack_tables
from moopim.workload.networks import NETWORKS, load_network
from moopim.workload.training import DATASETS, WORKLOADS, Workload, load_workload, make_workload

__all__ = [
    "DATASETS",
    "IMAGE",
    "NETWORKS",
    "WORKLOADS",
    "Layer",
    "LayerKind",
    "LayerTable",
    "Workload",
    "load_network",
    "load_workload",
    "make_table",
    "make_workload",
    "stack_tables",
]
