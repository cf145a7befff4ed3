"""Runs: start, resume, compare and read back."""

from moopim.experiment.comparing import compare
from moopim.experiment.result import RunResult, load_run
from moopim.experiment.running import resume, run

__all__ = ["RunResult", "compare", "load_run", "resume", "run"]
