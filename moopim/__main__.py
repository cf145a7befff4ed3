"""``python -m moopim``, the same as the command ``moopim``."""

from moopim.cli import main

main()
