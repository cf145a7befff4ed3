"""Runs: start, resume, compare and read back."""
