"""Layer tables of neural networks."""

from moopim.workload.networks import DATASETS, NETWORKS, load_workload
from moopim.workload.table import Layer, Workload, make_workload

__all__ = ["DATASETS", "NETWORKS", "Layer", "Workload", "load_workload", "make_workload"]
