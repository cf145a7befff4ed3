"""Handwritten digits that come with scikit-learn: 1,797 real images of 8x8 pixels and 16 grey levels.

The test set of E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998. Small
networks reach nearly all of it in floating point, so it cannot tell good networks apart.
"""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from moopim.errors import ConfigError
from moopim.network.datasets.data import ImageData, Raw, image_data, random_source, split_figure

__all__ = ["load_digits"]

_WHITE = 16  # brightest grey level


def load_digits() -> ImageData:
    """Reads the digits: 1,000 images in a fixed random order for training, 300 for validation, 497 for the test.

    Returns:
        The set; images (n, 1, 8, 8).

    Raises:
        ConfigError: If scikit-learn is not installed, or has no digits.
    """
    package = find_spec("sklearn")  # without an import, which takes a second
    if package is None or package.origin is None:
        raise ConfigError("data set 'digits' needs scikit-learn; install moopim[network]")
    path = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
    if not path.is_file():
        raise ConfigError(f"data set 'digits' is not in scikit-learn {version('scikit-learn')}: no {str(path)!r}")
    table = np.loadtxt(path, delimiter=",")  # 64 grey levels, row by row, and the digit
    images = (table[:, :-1].reshape(-1, 1, 8, 8) / _WHITE).astype(np.float32)
    labels = table[:, -1].astype(np.int64)
    order = random_source(None).permutation(len(labels))
    ends = np.cumsum([int(split_figure("digits_train")), int(split_figure("digits_validation"))])
    parts = [Raw(images[part], labels[part]) for part in np.split(order, ends)]
    return image_data("digits", [str(digit) for digit in range(10)], *parts)
