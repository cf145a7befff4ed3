"""The command ``moopim``."""

from moopim.cli.commands import app
from moopim.cli.entry import main

__all__ = ["app", "main"]
