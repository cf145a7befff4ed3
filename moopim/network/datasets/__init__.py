"""Sets of labelled images, whole and in memory: bundled, synthetic, from published files, or a user's own."""

from moopim.network.datasets.augmentation import Augmentation, standard_augmentation
from moopim.network.datasets.data import ImageData, Split
from moopim.network.datasets.own import from_dataset
from moopim.network.datasets.registry import DATASETS, load_data
from moopim.network.datasets.shapes import draw_shapes

__all__ = [
    "DATASETS",
    "Augmentation",
    "ImageData",
    "Split",
    "draw_shapes",
    "from_dataset",
    "load_data",
    "standard_augmentation",
]
