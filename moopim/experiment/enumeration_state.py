"""State of an enumeration: the parts of the space that are evaluated, and the non-dominated designs of these.

The file of the state is the checkpoint of an enumeration. It holds the front so far and no dominated design, so that it
does not grow with the space, and is replaced as a whole.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from moopim.errors import LogError, MoopimError
from moopim.evaluator import LoggedBatch
from moopim.experiment.frames import evaluations_frame
from moopim.files import open_output, read_bounded
from moopim.messages import resume_command
from moopim.pareto import non_dominated
from moopim.problem import DesignProblem
from moopim.records import Record
from moopim.typing import BoolArray, FloatArray, IntArray

ENUMERATION = "enumeration"
"""Name of enumerations where that of an optimiser stands."""

STATE = "enumeration.state"
_BYTES = 2**32
_HEADER = 2**12
_BITS = 40
# Candidates that are compared with the front at a time.
_WAITING = 4096

_Size = Annotated[int, Field(ge=0, le=10**12)]


class _Header(Record):
    """First line of the file: numbers of the state, and the checksum of the rest."""

    format: Literal[1] = 1
    size: _Size
    block: _Size = Field(ge=1)
    feasible: _Size
    front: _Size
    checksum: str


class Enumeration:
    """Enumeration of a space in blocks of consecutive designs, in any order.

    Args:
        problem: The problem; of one that is only read back, the genome need not know lengths of groups.
        size: Number of designs of the space.
        block: Designs of a block.

    Attributes:
        done: Whether each block has been evaluated, shape ``(blocks,)``.
        n_feasible: Number of feasible designs among those evaluated.
        numbers: Numbers of the designs of the front, rising, shape ``(points,)``.
        genes: Their genes, shape ``(points, n_genes)``.
        table: Their quantities, shape ``(points, n_quantities)``.
    """

    def __init__(self, problem: DesignProblem, size: int, block: int) -> None:
        self.problem = problem
        self.size = size
        self.block = block
        self.done: BoolArray = np.zeros(-(-size // block), dtype=np.bool_)
        self.n_feasible = 0
        self.numbers: IntArray = np.empty(0, dtype=np.int64)
        self.genes: IntArray = np.empty((0, problem.n_var), dtype=np.int64)
        self.table: FloatArray = np.empty((0, len(problem.quantities)))
        self._waiting: list[tuple[IntArray, IntArray, FloatArray]] = []

    @property
    def n_evaluated(self) -> int:
        """Number of designs evaluated."""
        short = self.block * len(self.done) - self.size if self.done[-1] else 0
        return self.block * int(self.done.sum()) - short

    def bounds(self, block: int) -> tuple[int, int]:
        """Number of the first design of a block, and of the first behind it."""
        return block * self.block, min((block + 1) * self.block, self.size)

    def add(self, block: int, numbers: IntArray, genes: IntArray, table: FloatArray, n_feasible: int) -> None:
        """Add the front of a block: numbers, genes, quantities; and the number of its feasible designs."""
        self.done[block] = True
        self.n_feasible += n_feasible
        self._waiting.append((numbers, genes, table))
        if sum(len(part[0]) for part in self._waiting) > max(_WAITING, len(self.numbers)):
            self.settle()

    def settle(self) -> None:
        """Take what was added into the front; of equal designs, see `front_rows`, the one of the least number stays."""
        parts = [(self.numbers, self.genes, self.table), *self._waiting]
        numbers, genes, table = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.argsort(numbers)
        rows = order[front_rows(self.problem, table[order])]
        self.numbers, self.genes, self.table, self._waiting = numbers[rows], genes[rows], table[rows], []

    def frame(self) -> pd.DataFrame:
        """Frame of the front as of evaluations; ``evaluation`` is the number of a design, from 1."""
        none_cached, F = np.zeros(len(self.genes), dtype=np.bool_), self.problem.objective_values(self.table)
        genes = self.genes.astype(self.problem.genome.storage_dtype)
        frame = evaluations_frame(self.problem, [LoggedBatch(1, genes, self.table, none_cached, 0.0)], F)
        return frame.assign(evaluation=self.numbers + 1)

    def write(self, path: Path) -> None:
        """Write the state into a file; raises ConfigError if it cannot be written."""
        self.settle()
        parts = (np.packbits(self.done), self.numbers.astype("<i8"), self.genes.astype("<i8"), self.table.astype("<f8"))
        body = b"".join(part.tobytes() for part in parts)
        header = _Header(
            size=self.size,
            block=self.block,
            feasible=self.n_feasible,
            front=len(self.numbers),
            checksum=_checksum(body),
        )
        with open_output(path) as file:
            file.write(header.model_dump_json().encode() + b"\n" + body)


def front_rows(problem: DesignProblem, table: FloatArray) -> IntArray:
    """Rows of a table ``(designs, n_quantities)`` of feasible designs that are on its front, of equal ones the first.

    Objectives are compared as rounded to 40 of their 53 bits: which of two designs is better by rounding errors depends
    on the processor and on versions of libraries.
    """
    mantissa, exponent = np.frexp(problem.objective_values(table))
    return np.flatnonzero(non_dominated(np.ldexp(np.rint(np.ldexp(mantissa, _BITS)), exponent - _BITS)))


def front_fingerprint(X: IntArray) -> str:
    """Fingerprint of a front, which does not depend on the last bits of objectives.

    Args:
        X: Genes of its designs, shape ``(points, n_genes)``.

    Returns:
        SHA-256 (64 hexadecimal digits) of the genes as indices, ``0,2,1``, a line for each design, in rising order of
        designs.
    """
    rows = X[np.lexsort(X[:, ::-1].T)].tolist()
    return hashlib.sha256("".join(f"{','.join(map(str, row))}\n" for row in rows).encode()).hexdigest()


def read_state(path: Path, problem: DesignProblem, size: int) -> Enumeration:
    """State of an enumeration of so many designs from its file; raises LogError if that is damaged."""
    try:
        return _parse(read_bounded(path, _BYTES), problem, size)
    except OSError as error:
        reason = str(error.strerror)
    except (ArithmeticError, MemoryError, RecursionError, ValueError, MoopimError) as error:
        reason = str(error).partition("\n")[0]
    way_out = f"{resume_command(path.parent, '--drop-damaged')} drops it and begins anew"
    raise LogError(f"state {str(path)!r} of an enumeration is damaged: {reason}; {way_out}")


def _parse(content: bytes, problem: DesignProblem, size: int) -> Enumeration:
    line = content[:_HEADER].partition(b"\n")[0]
    header, body = _Header.model_validate(json.loads(line)), content[len(line) + 1 :]
    blocks = -(-size // header.block)
    widths = (8, 8 * problem.n_var, 8 * len(problem.quantities))
    ends = np.cumsum([(blocks + 7) // 8, *(width * header.front for width in widths)]).tolist()
    if header.size != size or header.checksum != _checksum(body) or len(body) != ends[-1]:
        raise ValueError("it does not match its checksum or the space")
    state = Enumeration(problem, size, header.block)
    done, numbers, genes, table = (body[start:end] for start, end in zip([0, *ends], ends, strict=False))
    state.done = np.unpackbits(np.frombuffer(done, np.uint8))[:blocks].astype(np.bool_)
    state.n_feasible = header.feasible
    state.numbers = np.frombuffer(numbers, "<i8").astype(np.int64)
    state.genes = problem.genome.check(np.frombuffer(genes, "<i8").reshape(-1, problem.n_var))
    state.table = np.frombuffer(table, "<f8").reshape(-1, len(problem.quantities)).astype(np.float64)
    # The same checks as for fresh evaluations: a checksum does not tell who wrote the file.
    problem.check_table(state.genes, state.table, "it has")
    return state


def _checksum(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()
