"""The command ``moopim``."""
