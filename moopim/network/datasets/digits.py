"""Handwritten digits that come with scikit-learn: 1,797 real images of 8x8 pixels and 16 grey levels.

The test set of E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998. Small
networks reach nearly all of it in floating point, so it cannot tell good networks apart.
"""

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
        ConfigError: If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise ConfigError("data set 'digits' needs scikit-learn; install moopim[network]") from None
    found = datasets.load_digits()
    images = (found.images[:, None] / _WHITE).astype(np.float32)
    labels = found.target.astype(np.int64)
    order = random_source(None).permutation(len(labels))
    ends = np.cumsum([int(split_figure("digits_train")), int(split_figure("digits_validation"))])
    parts = [Raw(images[part], labels[part]) for part in np.split(order, ends)]
    return image_data("digits", [str(digit) for digit in range(10)], *parts)
