"""``python -m moopim``, the same as the command ``moopim``."""

from moopim.cli.entry import main

main()
