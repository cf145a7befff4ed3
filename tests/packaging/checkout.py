"""Where the checkout is and what its packages are called once installed; shared by the tests of packaging."""

from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Folder of the checkout -> package that it is installed as.
PACKAGES = {"moopim": "moopim", "problems": "moopim.problems", "analysis": "moopim.analysis"}


def setup_cfg():
    """The parsed setup.cfg."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def lines(value):
    """The entries of a multi-line value of setup.cfg, without comments."""
    return [line for line in value.splitlines() if line and not line.startswith("#")]


def library_files(pattern):
    """Pairs of a file and the place at which it is installed, such as ``moopim/problems/hunt/chip.py``."""
    for folder, package in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, Path(*package.split("."), path.relative_to(ROOT / folder))
