"""Design problems: a genome, named objectives and constraints, and one method from columns to columns."""

import copy
import hashlib
import inspect
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from types import CodeType, FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from pymoo.core.problem import Problem

import moopim
from moopim.errors import ConfigError, EvaluationError, MoopimError
from moopim.genome import Designs, Genome
from moopim.quantities import Constraint, Metric, Objective, Quantity, oriented
from moopim.typing import BoolArray, FloatArray, IntArray
from moopim.user_code import reason, source_files, where_raised

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUN_COLUMNS = ("evaluation", "generation", "feasible", "cached", "returned")
"""Columns that a run adds to the genes and quantities of its frames."""

# Genes of a design that a message names at most.
_NAMED_GENES = 20
# Largest feature: the trees of a surrogate hold single precision.
_GREATEST_FEATURE = 1e38


class MetricCache(Protocol):
    """On-disk cache of a costly metric, such as `moopim.evaluator.metric_store.MetricStore`."""

    def count(self) -> int:
        """Number of values in the cache."""


class DesignProblem(Problem):  # type: ignore[misc]
    """A pymoo problem over an integer genome with named, unit-carrying quantities.

    A subclass sets `genome` and `objectives` (and, as needed, `constraints` and `metrics`) on the class or before it
    calls ``super().__init__()``, and writes `evaluate_designs`. The parameters of its constructor are the options of
    the problem: each is stored as an attribute of the same name.

    Attributes:
        genome: The genome of a design.
        objectives: Quantities to be made small or large.
        constraints: Quantities with bounds.
        metrics: Further quantities that are logged and shown.
        limits: Limits on objectives and metrics, whose relative excess the constraint ``violation`` holds; named in
            messages. `moopim.goals.Goals` computes it.
        mutation: Probability that mutation resets a gene, by gene group, that suits the problem; optimisers that mutate
            by resets take it, and their own where a group is not named.
        chunk_rows: Number of designs that one call of `evaluate_designs` gets at most. A batch is cut the same way for
            any number of worker processes, so that results do not depend on it. Slow models set it to a few or to 1.
        metric_caches: On-disk caches that runs share, by name of the quantity; the message of a run says how many
            values were known before it.
    """

    genome: Genome
    objectives: Sequence[Objective] = ()
    constraints: Sequence[Constraint] = ()
    limits: Sequence[Constraint] = ()
    metrics: Sequence[Metric] = ()
    mutation: Mapping[str, float] | None = None
    chunk_rows: ClassVar[int] = 256
    metric_caches: Mapping[str, MetricCache] = MappingProxyType({})

    def __init__(self) -> None:
        if not isinstance(getattr(self, "genome", None), Genome):
            raise ConfigError(f"{type(self).__name__} has no genome; set it on the class or before super().__init__()")
        if not self.objectives:
            raise ConfigError(f"{type(self).__name__} has no objectives; expected at least one Objective")
        self.quantities = _distinct((*self.objectives, *self.constraints, *self.metrics))
        self._column = {quantity.name: i for i, quantity in enumerate(self.quantities)}
        _check_columns(self.genome, self.quantities)
        self._check_limits()
        self._backend: Callable[[IntArray], FloatArray] | None = None
        options = {name: vars(self)[name] for name in inspect.signature(type(self)).parameters if name in vars(self)}
        super().__init__(
            n_var=self.genome.n_genes,
            n_obj=len(self.objectives),
            n_ieq_constr=sum((c.upper is not None) + (c.lower is not None) for c in self.constraints),
            xl=np.zeros(self.genome.n_genes, dtype=np.int64),
            xu=self.genome.upper,
            vtype=int,
        )
        self._keep(options)

    def _check_limits(self) -> None:
        """Raise ConfigError unless each limit is on a quantity that there is, and ``violation`` a constraint."""
        labels = [quantity.label for quantity in (*self.objectives, *self.metrics)]
        for limit in self.limits:
            if limit.label not in labels:
                raise ConfigError(f"limit {limit.label!r} is on no objective or metric; expected {', '.join(labels)}")
        if self.limits and "violation" not in [constraint.name for constraint in self.constraints]:
            raise ConfigError(
                f"{type(self).__name__} has limits but no constraint 'violation', which holds their excess"
            )

    def _keep(self, options: Mapping[str, Any]) -> None:
        """Restore options that pymoo has overwritten, where it does not need its own value."""
        for name, value in options.items():
            if vars(self)[name] is not value and name != "data":
                raise ConfigError(
                    f"parameter {name!r} of {type(self).__name__} has the name of an attribute of pymoo's Problem; "
                    "expected another name"
                )
            setattr(self, name, value)

    @abstractmethod
    def evaluate_designs(self, designs: Designs) -> Mapping[str, ArrayLike]:
        """Evaluate every quantity of a batch of designs; written by the author of the problem.

        Args:
            designs: The batch; ``designs.name`` has shape ``(pop,)`` or ``(pop, repeat)``.

        Returns:
            One array of shape ``(pop,)`` per objective, constraint and metric, by name, in the declared unit and with
            the natural sign. Objectives of a design that violates a constraint, and metrics, may be NaN.
        """

    def repair_designs(self, X: IntArray) -> IntArray:
        """Repair designs, for instance into feasible ones; override where it makes sense.

        Optimisers of moopim apply it to every new design.

        Args:
            X: Designs in canonical form, shape ``(pop, n_genes)``.

        Returns:
            Designs in canonical form, shape ``(pop, n_genes)``; rows that need no repair come back as they are.
        """
        return X

    def plot_design(self, designs: Designs, title: str) -> "dict[str, Figure]":
        """Plot one design, for ``moopim plot DIR --design N``; override to show what only the problem knows.

        Args:
            designs: A batch of one design, as `evaluate_designs` gets it.
            title: Title of the figures.

        Returns:
            Matplotlib figures by name, which is also the stem of their files. None by default: the design is then shown
            among all others, beside its genes (`moopim.analysis.design_figures`).
        """
        del designs, title
        return {}

    def describe_design(self, designs: Designs) -> str:
        """Describe one design, for ``moopim show DIR --design N``; override to say what only the problem knows.

        Args:
            designs: A batch of one design, as `evaluate_designs` gets it.

        Returns:
            Text in lines of at most 100 columns; it follows the genes and quantities. Empty by default.
        """
        del designs
        return ""

    def surrogate_features(self, designs: Designs) -> ArrayLike:
        """Features of designs that say more on the quantities than the genes; override to help ``--screen``.

        The surrogate of a screened run learns from them beside the genes. They should cost much less than
        `evaluate_designs`: counts, sums, sizes, the choice that a gene makes indirectly.

        Args:
            designs: The batch, as `evaluate_designs` gets it.

        Returns:
            Numbers up to 1e38, shape ``(pop, n_features)``, as many for every batch; none by default.
        """
        return np.empty((len(designs), 0))

    def checked_features(self, X: IntArray) -> FloatArray:
        """`surrogate_features` of designs in canonical form ``(pop, n_genes)``, shape ``(pop, n_features)``.

        Raises EvaluationError if the author's method fails or returns anything else.
        """
        with self.naming_faults("surrogate_features"):
            features = np.asarray(self.surrogate_features(self._designs(X)), dtype=np.float64)
        usable = np.abs(features).max(initial=0.0) <= _GREATEST_FEATURE
        if features.ndim != 2 or len(features) != len(X) or not usable:  # noqa: PLR2004
            raise EvaluationError(
                f"{type(self).__name__}.surrogate_features returned shape {features.shape}, or numbers that are not "
                f"finite or too large; expected numbers up to {_GREATEST_FEATURE:g} of shape ({len(X)}, n_features)"
            )
        return features

    def identity(self) -> Mapping[str, Any]:
        """Further facts that results depend on, such as hashes of data files; part of the fingerprint."""
        return {}

    def parameters(self) -> dict[str, Any]:
        """Values of the constructor's parameters, by name.

        Raises:
            ConfigError: If the constructor did not store a parameter as an attribute of the same name.
        """
        names = list(inspect.signature(type(self)).parameters)
        for name in names:
            if not hasattr(self, name):
                raise ConfigError(f"{type(self).__name__} must store its parameter {name!r} as self.{name}")
        return {name: getattr(self, name) for name in names}

    def fingerprint(self) -> str:
        """Hash of everything that results depend on (64 hexadecimal digits).

        It covers the genome, the quantities, the parameters, the files of the class and its bases with what they import
        from their own folders and packages, `identity` and the version of moopim. Evaluation logs of another
        fingerprint are never used.
        """
        return fingerprint_of(self.facts())

    def facts(self) -> dict[str, str]:
        """Hashes of what results depend on, by name: the parts of `fingerprint` (64 hexadecimal digits each)."""
        with self.naming_faults("identity"):
            identity = {name: repr(value) for name, value in self.identity().items()}
        facts = {
            "class": type(self).__qualname__,
            "genome": self.genome.describe(),
            "quantities": [
                repr(quantity) for quantity in (*self.objectives, *self.constraints, *self.metrics, *self.limits)
            ],
            "parameters": {name: _plain(value) for name, value in self.parameters().items()},
            "identity": identity,
            "moopim": moopim.__version__,
        }
        hashes = {name: json.dumps(value, sort_keys=True).encode() for name, value in facts.items()}
        return {"source": _source_hash(type(self))} | {
            name: hashlib.sha256(value).hexdigest() for name, value in hashes.items()
        }

    def tabulate(self, X: IntArray) -> FloatArray:
        """Evaluate designs and check what `evaluate_designs` returned.

        Args:
            X: Designs in canonical form, shape ``(pop, n_genes)``.

        Returns:
            One column per entry of `quantities`, in natural sign, shape ``(pop, n_quantities)``.

        Raises:
            EvaluationError: If the author's method fails, a name is missing or unknown, a shape is wrong, a constraint
                is NaN, or an objective of a feasible design is not finite.
        """
        tables = [self._tabulate_chunk(chunk) for chunk in self.chunks(X)]
        return tables[0] if len(tables) == 1 else np.concatenate(tables)

    def cache_counts(self) -> dict[str, int]:
        """Number of values in each of `metric_caches`."""
        with self.naming_faults("metric_caches"):
            return {name: cache.count() for name, cache in self.metric_caches.items()}

    def chunks(self, X: IntArray) -> list[IntArray]:
        """Consecutive pieces of a batch `X` ``(pop, n_genes)``, of at most `chunk_rows` rows; at least one."""
        return [X[start : start + self.chunk_rows] for start in range(0, len(X), self.chunk_rows)] or [X]

    def with_backend(self, backend: Callable[[IntArray], FloatArray]) -> Self:
        """Copy of the problem that a backend evaluates, from genes ``(pop, n_genes)`` to ``(pop, n_quantities)``."""
        attached = copy.copy(self)
        attached._backend = backend
        return attached

    def _tabulate_chunk(self, X: IntArray) -> FloatArray:
        with self.naming_faults("evaluate_designs", lambda: f", for {self._failing(X)}"):
            returned = self.evaluate_designs(self._designs(X))
        table = self._as_table(returned, len(X))
        self.check_table(X, table, f"{type(self).__name__}.evaluate_designs returned")
        return table

    def _designs(self, X: IntArray) -> Designs:
        genes = X.view()
        genes.flags.writeable = False
        return Designs(self.genome, genes)

    def _failing(self, X: IntArray) -> str:
        """The design at which `evaluate_designs` fails, in words, found by evaluating halves of the batch again."""
        part = X
        while len(part) > 1:
            half = len(part) // 2
            part = part[:half] if self._fails(part[:half]) else part[half:]
        found = len(X) == 1 or self._fails(part)
        return self.named(part[0]) if found else f"{len(X)} designs together"

    def _fails(self, X: IntArray) -> bool:
        try:
            self.evaluate_designs(self._designs(X))
        except (Exception, SystemExit):  # noqa: BLE001 (whatever a model raises)
            return True
        return False

    @contextmanager
    def naming_faults(self, method: str, about: Callable[[], str] = str) -> Iterator[None]:
        """Raise EvaluationError, with method, file and line, for what the author's `method` raises in the block.

        `about` gives the end of the message.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            place = where_raised(error, self.source_files())
            if isinstance(error, MoopimError) and not place:
                raise
            raise EvaluationError(f"{type(self).__name__}.{method} raised {reason(error)}{place}{about()}") from error

    def repaired(self, X: IntArray) -> IntArray:
        """Apply `repair_designs` to designs in canonical form and check its result; shape ``(pop, n_genes)``."""
        with self.naming_faults("repair_designs"):
            repaired = self.repair_designs(X)
        if np.shape(repaired) != X.shape:
            raise EvaluationError(
                f"{type(self).__name__}.repair_designs returned shape {np.shape(repaired)}; expected {X.shape}"
            )
        return repaired

    @classmethod
    def source_files(cls) -> list[Path]:
        """Files of the class and its bases, without moopim's own; none where the class is not from a file."""
        bases = cls.__mro__[: cls.__mro__.index(DesignProblem)]
        try:
            return [Path(inspect.getfile(base)) for base in bases if not base.__module__.startswith("moopim.")]
        except (OSError, TypeError):
            return []

    def named(self, genes: IntArray) -> str:
        """A design ``(n_genes,)`` in words, such as ``the design bits=8, rows=128``; at most `_NAMED_GENES` genes."""
        designs = self.genome.decode(genes[None])
        values = [value for group in self.genome.groups for value in np.atleast_1d(designs[group.name][0])]
        named = [f"{column}={value}" for column, value in zip(self.genome.columns, values, strict=True)]
        more = f", ... ({len(named)} genes)" if len(named) > _NAMED_GENES else ""
        return f"the design {', '.join(named[:_NAMED_GENES])}{more}"

    def _as_table(self, returned: object, pop: int) -> FloatArray:
        where = f"{type(self).__name__}.evaluate_designs"
        if not isinstance(returned, Mapping):
            raise EvaluationError(f"{where} returned {type(returned).__name__}; expected a dict of arrays by name")
        for name in returned:
            if name not in self._column:
                raise EvaluationError(f"{where} returned unknown name {name!r}; expected {', '.join(self._column)}")
        table = np.empty((pop, len(self.quantities)))
        for name, i in self._column.items():
            if name not in returned:
                raise EvaluationError(f"{where} did not return {name!r}; expected {', '.join(self._column)}")
            try:
                column = np.asarray(returned[name])
            except Exception as error:  # not an array, such as rows of unequal length or a tensor with gradients
                raise EvaluationError(
                    f"{where} returned {name!r}, which is not an array ({reason(error)}); expected shape ({pop},)"
                ) from error
            if isinstance(returned[name], np.ma.MaskedArray) and np.ma.is_masked(returned[name]):
                raise EvaluationError(f"{where} returned {name!r} with masked values; expected numbers, NaN for none")
            if column.shape != (pop,):
                raise EvaluationError(f"{where} returned {name!r} with shape {column.shape}; expected ({pop},)")
            if column.dtype.kind not in "biuf":
                raise EvaluationError(f"{where} returned {name!r} as {column.dtype}; expected real numbers")
            table[:, i] = column
        return table

    def check_table(self, X: IntArray, table: FloatArray, origin: str) -> None:
        """Raise EvaluationError for a NaN constraint, or an objective of a feasible design that is not finite.

        For designs `X` ``(pop, n_genes)`` with quantities `table` ``(pop, n_quantities)``; the message begins with
        their `origin`.
        """
        if np.isfinite(table).all():
            return
        for constraint in self.constraints:
            wrong = np.isnan(table[:, self._column[constraint.name]])
            if wrong.any():
                design = self.named(X[int(wrong.argmax())])
                raise EvaluationError(f"{origin} nan for constraint {constraint.name!r} of {design}; expected a number")
        feasible = self.feasible(table)
        for objective in self.objectives:
            values = table[:, self._column[objective.name]]
            wrong = feasible & ~np.isfinite(values)
            if wrong.any():
                row = int(wrong.argmax())
                raise EvaluationError(
                    f"{origin} {values[row]} for objective {objective.name!r} of {self.named(X[row])}, which "
                    "is feasible; expected a finite number"
                )

    def objective_values(self, table: FloatArray) -> FloatArray:
        """Objectives to be minimised, infinite where a design without a value is infeasible.

        Args:
            table: From `tabulate`, shape ``(pop, n_quantities)``.

        Returns:
            Those of sense ``max`` with their sign changed, shape ``(pop, n_obj)``.
        """
        F = oriented(table[:, : self.n_obj], self.objectives)
        F[~np.isfinite(F)] = np.inf
        return F

    def constraint_values(self, table: FloatArray) -> FloatArray:
        """Excess over each bound of each constraint, positive where violated.

        Args:
            table: From `tabulate`, shape ``(pop, n_quantities)``.

        Returns:
            The excess in the unit of the quantity, shape ``(pop, n_ieq_constr)``.
        """
        if not self.constraints:
            return np.empty((len(table), 0))
        excesses = [constraint.excess(table[:, self._column[constraint.name]]) for constraint in self.constraints]
        return excesses[0] if len(excesses) == 1 else np.concatenate(excesses, axis=1)

    def feasible(self, table: FloatArray) -> BoolArray:
        """Mask of the designs that violate no bound.

        Args:
            table: From `tabulate`, shape ``(pop, n_quantities)``.

        Returns:
            The mask, shape ``(pop,)``.
        """
        return np.asarray((self.constraint_values(table) <= 0).all(axis=1))

    def do(self, X: ArrayLike, return_values_of: Sequence[str], *args: Any, **kwargs: Any) -> dict[str, FloatArray]:
        """Evaluate for pymoo, without the checks of shapes that it makes for any problem.

        Args:
            X: Numbers that the genome's repair turns into designs, shape ``(pop, n_genes)``.
            return_values_of: Names of arrays that pymoo asks for, such as F, G and H.
            args: Further arguments of pymoo, not used.
            kwargs: Alike.

        Returns:
            The objectives ``F (pop, n_obj)``, the constraints ``G (pop, n_ieq_constr)`` where there are any, and an
            array of these names for all others: empty for G and H, infinite for those that are not known.
        """
        out: dict[str, Any] = {}
        self._evaluate(X, out, *args, **kwargs)
        n = len(out["F"])
        for name in return_values_of:
            if name not in out:
                out[name] = np.empty((n, 0)) if name in "GH" else np.full(n, np.inf)
        return out

    def _evaluate(self, X: ArrayLike, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Evaluate for pymoo; real numbers from pymoo's own operators are rounded to designs first."""
        genes = self.genome.repair(X)
        table = self.tabulate(genes) if self._backend is None else self._backend(genes)
        out["F"] = self.objective_values(table)
        if self.constraints:
            out["G"] = self.constraint_values(table)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({options})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str, str]] = [("objective", q.label, q.sense) for q in self.objectives]
        rows += [("constraint", q.label, q.bounds) for q in self.constraints]
        rows += [("limit", q.label, q.bounds) for q in self.limits]
        rows += [("metric", q.label, "") for q in self.metrics]
        cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<b>{escape(repr(self))}</b><table>{cells}</table>{self.genome._repr_html_()}"


def _distinct(quantities: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """One entry per name; an objective may also be bounded by a constraint of the same name and unit."""
    by_name: dict[str, Quantity] = {}
    for quantity in quantities:
        known = by_name.setdefault(quantity.name, quantity)
        if known is not quantity and (type(known) is type(quantity) or known.unit != quantity.unit):
            raise ConfigError(f"quantity {quantity.name!r} is declared twice ({known.label}, {quantity.label})")
    return tuple(by_name.values())


def _check_columns(genome: Genome, quantities: Sequence[Quantity]) -> None:
    """Raise ConfigError if two of genes, quantities and columns of the run share a column of result frames."""
    for column in set(genome.columns) & set(RUN_COLUMNS):
        raise ConfigError(
            f"gene {column!r} has the name of a column of result frames; reserved: {', '.join(RUN_COLUMNS)}"
        )
    taken = dict.fromkeys(genome.columns, "a gene") | dict.fromkeys(RUN_COLUMNS, "every run")
    for quantity in quantities:
        if quantity.column in taken:
            raise ConfigError(
                f"column {quantity.column!r} of quantity {quantity.name!r} is used twice in result frames: it is that "
                f"of {taken[quantity.column]} as well; expected another name"
            )
        taken[quantity.column] = f"quantity {quantity.name!r} (unit {quantity.unit!r})"


def _plain(value: object) -> object:
    """A parameter for the fingerprint: 2 and 2.0 mean the same."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _compiled(function: Any, seen: set[Any]) -> Iterator[bytes]:
    """Bytecode and constants of a function, and of the functions of its module that it names."""
    function = getattr(function, "__func__", function)  # of a class method
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        plain = [constant for constant in code.co_consts if not isinstance(constant, CodeType | frozenset)]
        plain += [sorted(constant, key=repr) for constant in code.co_consts if isinstance(constant, frozenset)]
        yield code.co_code + repr((code.co_names, plain)).encode()
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, str | int | float):
                yield repr(value).encode()
            elif getattr(value, "__module__", None) == function.__module__:
                yield from _compiled(value, seen)


def fingerprint_of(facts: Mapping[str, str]) -> str:
    """Fingerprint (64 hexadecimal digits) of `DesignProblem.facts`, without hashing the sources again."""
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()


def _source_hash(cls: type) -> str:
    """Hash of the files that define a class; of its compiled methods where there is no file, as in a notebook."""
    bases = cls.__mro__[: cls.__mro__.index(DesignProblem)]
    try:
        content = [path.read_bytes() for path in source_files(Path(inspect.getfile(base)) for base in bases)]
    except (OSError, TypeError):
        seen: set[Any] = set()
        members = [(name, value) for base in bases for name, value in sorted(vars(base).items())]
        content = [part for name, value in members for part in (name.encode(), *_compiled(value, seen))]
    return hashlib.sha256(b"\0".join(content)).hexdigest()
