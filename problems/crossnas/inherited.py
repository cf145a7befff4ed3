"""Accuracy of CrossNAS's networks with the weights that they inherit from a supernet; needs torch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moopim.genome import Designs
from moopim.network.accuracy import subnet_accuracies
from moopim.network.calibration import CALIBRATION
from moopim.network.checkpoint import checksum, split_checksum
from moopim.network.datasets import ImageData, load_data
from moopim.network.network_files import load_supernet
from moopim.network.subnets import Block, Subnet, subnet_name
from moopim.network.supernet import Supernet
from moopim.network.tools import check_device
from moopim.problems.crossnas.paid import paid_accuracies
from moopim.typing import FloatArray

__all__ = ["InheritedAccuracy", "subnets"]


class InheritedAccuracy:
    """Accuracy on the validation images, batch norms recalibrated (section 3.2); for the use of a problem.

    Accuracies are kept beside the weights for later runs.

    Args:
        supernet: A file of `moopim.network.network_files.save_supernet`.
        data: Name of the set of images that it was trained on.
        root: Folder of the set, if it is read from files.
        calibration: Training images from which the statistics of batch norms are measured.
        device: Where to compute, such as ``cpu`` or ``cuda``.

    Attributes:
        supernet: The supernet.
        store: What accuracies are known.

    Raises:
        ConfigError: If a file is missing or damaged, or the device or the set does not fit.
    """

    def __init__(
        self,
        supernet: str,
        data: str = "digits",
        root: str | None = None,
        calibration: int = CALIBRATION,
        device: str = "cpu",
    ) -> None:
        check_device(device)
        self.supernet: Supernet = load_supernet(supernet).to(device)
        self._data: ImageData = load_data(data, root).to(device)
        self._calibration = calibration
        subnet_accuracies(self.supernet, [], self._data, calibration=calibration)  # whether they fit
        self.store = paid_accuracies(Path(supernet), {**self.identity(), "calibration": calibration}, device)

    def __call__(self, designs: Designs) -> FloatArray:
        """Finds accuracies; those of designs that begin with the same blocks share the work.

        Args:
            designs: Designs of `moopim.problems.crossnas.CrossNasSpace`.

        Returns:
            Fractions of images told right, shape ``(designs,)``.
        """
        # As layer tables take them, whether they have been repaired or not.
        wanted = [self.supernet.canonical(subnet) for subnet in subnets(designs)]

        def compute(places: list[int]) -> FloatArray:
            chosen = [wanted[place] for place in places]
            return subnet_accuracies(self.supernet, chosen, self._data, calibration=self._calibration)

        return self.store.answer([subnet_name(subnet) for subnet in wanted], compute)

    def identity(self) -> Mapping[str, str]:
        """Checksums of the weights and of the images, which the accuracies depend on."""
        weights = self.supernet.state_dict().values()
        return {
            "supernet": checksum(*weights),
            "images": split_checksum(self._data.train, self._data.validation),
        }


def subnets(designs: Designs) -> list[Subnet]:
    """Reads the blocks of designs.

    Args:
        designs: Designs of `moopim.problems.crossnas.CrossNasSpace`.

    Returns:
        The blocks of each.
    """
    kinds, channels = designs["block"], designs["channels"]
    strides = designs["stride"] if "stride" in designs.genome.slices else np.ones_like(channels)
    return [
        tuple(
            Block(str(kind), int(width), int(stride) if kind == "RES" else 1)
            for kind, width, stride in zip(kinds[i, :depth], channels[i, :depth], strides[i, :depth], strict=True)
        )
        for i, depth in enumerate(designs["depth"].tolist())
    ]
