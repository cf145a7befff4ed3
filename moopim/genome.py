"""The genome: named groups of integer genes, declared once, decoded for a whole population at a time."""

import hashlib
import json
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from moopim.checks import numbers as checked_numbers
from moopim.checks import whole_number
from moopim.errors import ConfigError, unknown_name
from moopim.genes import GeneGroup, Integer, Permutation
from moopim.messages import count, rounded, table_lines
from moopim.typing import BoolArray, IntArray

_RESERVED = ("active", "genes", "indices")
_MOST_NUMBERED = int(np.iinfo(np.int64).max)


class Genome:
    """An ordered set of gene groups.

    Designs are rows of an integer array of shape ``(pop, n_genes)``; each gene is an index into the allowed values of
    its group. Genes that a ``length=`` group switches off have one canonical value, index 0, so that equal designs are
    equal rows.

    Args:
        groups: The gene groups in the order of their genes.

    Raises:
        ConfigError: If there is no group, a name is used twice, or ``length=`` names an unsuitable group.

    Example:
        >>> import numpy as np
        >>> from moopim import Choice, Genome, Integer
        >>> genome = Genome(Choice("bits", (5, 7, 9), repeat=2), Integer("depth", 1, 8))
        >>> genome.size
        72
        >>> designs = genome.decode([[0, 2, 3]])
        >>> designs.bits.tolist(), designs.depth.tolist()
        ([[5, 9]], [4])
    """

    def __init__(self, *groups: GeneGroup) -> None:
        if not groups:
            raise ConfigError("a genome needs at least one gene group")
        self.groups = groups
        self.columns: tuple[str, ...] = tuple(column for group in groups for column in group.columns)
        self._by_name = {group.name: group for group in groups}
        _check_names(groups, self.columns)
        stops = np.cumsum([group.width for group in groups]).tolist()
        self.slices = {g.name: slice(stop - g.width, stop) for g, stop in zip(groups, stops, strict=True)}
        self.n_values: IntArray = np.repeat([g.n_values for g in groups], [g.width for g in groups]).astype(np.int64)
        self.upper: IntArray = self.n_values - 1
        self._permutations = tuple(self.slices[g.name] for g in groups if isinstance(g, Permutation))
        self._inactive = tuple((self.slices[g.name], self._length_source(g)) for g in groups if g.length is not None)
        for array in (self.n_values, self.upper):
            array.flags.writeable = False

    def _length_source(self, group: GeneGroup) -> tuple[int, int]:
        """Column of the gene that holds the length of a group, and the decoded value of its index 0."""
        source = self._by_name.get(str(group.length))
        if not isinstance(source, Integer) or source.repeat is not None:
            raise ConfigError(
                f"length={group.length!r} of {group.name!r} is not allowed; expected a single Integer group"
            )
        if not 0 <= source.low <= source.high <= group.width:
            raise ConfigError(
                f"group {source.name!r} ({source.describe()}) cannot be the length of {group.width} genes"
            )
        return self.slices[source.name].start, source.low

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return len(self.n_values)

    @property
    def size(self) -> int:
        """Number of distinct designs, exactly."""
        return math.prod(sum(self._settings(group)) for group in self.groups if group.length is None)

    def _settings(self, group: GeneGroup) -> list[int]:
        """Distinct settings of a group; of one that gives lengths, with those of the groups it rules, by its value."""
        ruled = self._ruled_by(group)
        if not ruled:
            return [group.count(group.width)]
        return [math.prod(other.count(int(value)) for other in ruled) for value in group.values]

    def _ruled_by(self, group: GeneGroup) -> list[GeneGroup]:
        return [other for other in self.groups if other.length == group.name]

    @property
    def storage_dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Smallest unsigned integer type that holds every gene, as the evaluation log stores them."""
        return np.min_scalar_type(int(self.upper.max()))

    @property
    def fingerprint(self) -> str:
        """Hash of the names, kinds and allowed values of all groups (64 hexadecimal digits)."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def describe(self) -> list[dict[str, Any]]:
        """Description of the groups as plain data: kind, name, number of genes, allowed values, length group."""
        return [
            {
                "kind": type(group).__name__.lower(),
                "name": group.name,
                "repeat": group.repeat,
                "values": [repr(value) for value in group.values.tolist()],
                "length": group.length,
            }
            for group in self.groups
        ]

    def group(self, name: str) -> GeneGroup:
        """Gene group of a name.

        Raises:
            ConfigError: If there is no such group.
        """
        if name not in self._by_name:
            raise unknown_name("gene group", name, self._by_name)
        return self._by_name[name]

    def check(self, X: ArrayLike) -> IntArray:
        """Raise ConfigError unless rows are designs of this genome.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            The genes as ``int64``, shape ``(pop, n_genes)``.

        Raises:
            ConfigError: If the shape is wrong, or a gene is not a whole number within its bounds; names the gene.
        """
        genes = _array(X, self.n_genes)
        if genes.shape[1:] != (self.n_genes,):
            raise ConfigError(f"genes have shape {genes.shape}; expected (pop, {self.n_genes})")
        if genes.dtype.kind not in "iuf":
            raise ConfigError(f"genes have type {genes.dtype}; expected integers")
        wrong = (genes < 0) | (genes > self.upper)
        if genes.dtype.kind == "f":
            wrong |= genes != np.floor(genes)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ConfigError(
                f"gene {self.columns[column]!r} of design {row} is {genes[row, column]}; "
                f"allowed: whole numbers 0 .. {self.upper[column]}"
            )
        return genes.astype(np.int64, copy=False)

    def decode(self, X: ArrayLike) -> "Designs":
        """Decode rows of genes into named columns.

        Args:
            X: Genes, shape ``(pop, n_genes)``.

        Returns:
            The designs; ``designs.name`` has shape ``(pop,)`` or ``(pop, repeat)``.

        Raises:
            ConfigError: If the genes are not designs of this genome.
        """
        return Designs(self, self.check(X))

    def encode(self, columns: "Mapping[str, ArrayLike] | Designs") -> IntArray:
        """Encode named columns as rows of genes; the inverse of `decode`.

        Args:
            columns: One array per group: allowed values of shape ``(pop,)`` or ``(pop, repeat)``.

        Returns:
            Genes in canonical form, shape ``(pop, n_genes)``.

        Raises:
            ConfigError: If a group is missing or unknown, a shape is wrong or a value is not allowed.
        """
        if isinstance(columns, Designs):
            columns = {group.name: columns[group.name] for group in self.groups}
        for name in columns:
            self.group(name)
        parts, pop = [], None
        for group in self.groups:
            if group.name not in columns:
                raise ConfigError(f"column {group.name!r} is missing; expected {', '.join(self._by_name)}")
            column = _array(columns[group.name], group.width)
            pop = len(column) if pop is None and column.ndim else pop
            expected = (pop,) if group.repeat is None else (pop, group.repeat)
            if column.shape != expected:
                raise ConfigError(f"column {group.name!r} has shape {column.shape}; expected {expected}")
            parts.append(group.indices_of(column).reshape(len(column), group.width))
        return self.canonical(np.concatenate(parts, axis=1))

    def sample(self, n: int, random_state: np.random.Generator) -> IntArray:
        """Sample designs uniformly, gene by gene.

        Args:
            n: Number of designs.
            random_state: Source of randomness.

        Returns:
            Genes in canonical form, shape ``(n, n_genes)``.

        Raises:
            ConfigError: If ``n`` is no whole number from 0.
        """
        whole_number("n", n, 0)
        X = random_state.integers(0, self.n_values, size=(n, self.n_genes))
        for part in self._permutations:
            X[:, part] = random_state.permuted(
                np.broadcast_to(np.arange(part.stop - part.start), X[:, part].shape), axis=1
            )
        return self.canonical(X)

    def unrank(self, numbers: ArrayLike) -> IntArray:
        """Designs by their numbers in a fixed order of all designs.

        The last group changes first, and of its genes the last. A group whose length another one gives changes together
        with that one, and before it. Orders of a permutation are sorted as words.

        Args:
            numbers: Numbers of designs, 0 .. size - 1, shape ``(pop,)``.

        Returns:
            Genes in canonical form, shape ``(pop, n_genes)``; different numbers give different designs.

        Raises:
            ConfigError: If a number is not that of a design, or the genome has more than 2**63 - 1 designs.

        Example:
            >>> from moopim import Choice, Genome, Integer
            >>> genome = Genome(Choice("bits", (5, 7, 9), repeat=2), Integer("depth", 1, 8))
            >>> genome.unrank([0, 7, 8, 71]).tolist()
            [[0, 0, 0], [0, 0, 7], [0, 1, 0], [2, 2, 7]]
        """
        if self.size > _MOST_NUMBERED:
            raise ConfigError(f"the genome has {rounded(self.size)} designs; expected at most {_MOST_NUMBERED:,}")
        rest = checked_numbers("numbers", numbers, ("pop",), least=0, most=self.size - 1, whole=True).astype(np.int64)
        X = np.zeros((len(rest), self.n_genes), dtype=np.int64)
        for group in reversed(self.groups):
            if group.length is not None:
                continue
            settings = np.array(self._settings(group))
            rest, digit = np.divmod(rest, settings.sum())
            ruled = self._ruled_by(group)
            if not ruled:
                self._set_genes(X, group, digit, group.width)
                continue
            ends = np.cumsum(settings)
            index = np.searchsorted(ends, digit, side="right")
            X[:, self.slices[group.name]] = index[:, None]
            digit -= (ends - settings)[index]
            for other in reversed(ruled):
                digit = self._set_genes(X, other, digit, group.values[index])
        return X

    def _set_genes(self, X: IntArray, group: GeneGroup, number: IntArray, active: ArrayLike) -> IntArray:
        """Set the first `active` genes of a group to the last digits of numbers ``(pop,)``; give the others."""
        genes, order = X[:, self.slices[group.name]], isinstance(group, Permutation)
        for i in reversed(range(group.width)):
            values = group.width - i if order else group.n_values
            number, genes[:, i] = np.divmod(number, np.where(i < np.asarray(active), values, 1))
        if order:  # a digit counts the smaller items behind: all that stand there make room
            for i in reversed(range(group.width - 1)):
                genes[:, i + 1 :] += genes[:, i + 1 :] >= genes[:, [i]]
        return number

    def canonical(self, X: IntArray) -> IntArray:
        """Set the genes that a length group switches off to index 0.

        Args:
            X: Genes within bounds, shape ``(pop, n_genes)``; not changed.

        Returns:
            Genes, shape ``(pop, n_genes)``; the input itself if the genome has no length groups.

        Raises:
            ConfigError: If the shape is wrong.
        """
        if np.shape(X)[1:] != (self.n_genes,):
            raise ConfigError(f"genes have shape {np.shape(X)}; expected (pop, {self.n_genes})")
        if not self._inactive:
            return X
        X = X.copy()
        for part, (column, low) in self._inactive:
            active = np.arange(part.stop - part.start) < (X[:, column] + low)[:, None]
            X[:, part] *= active
        return X

    def repair(self, X: ArrayLike) -> IntArray:
        """Make designs of any numbers: round, clip into bounds, complete permutations, set the canonical form.

        Args:
            X: Numbers, shape ``(pop, n_genes)``; not changed. They may be real, from real-valued operators.

        Returns:
            Genes, shape ``(pop, n_genes)``. Rows that are designs already come back as they are.

        Raises:
            ConfigError: If the shape is wrong, or there are no numbers.
        """
        numbers = _array(X, self.n_genes)
        if numbers.shape[1:] != (self.n_genes,) or numbers.dtype.kind not in "biuf":
            raise ConfigError(
                f"genes have shape {numbers.shape} and type {numbers.dtype}; expected numbers (pop, {self.n_genes})"
            )
        if numbers.dtype.kind == "f":
            numbers = np.rint(np.nan_to_num(numbers))
        genes = np.minimum(np.maximum(numbers, 0), self.upper).astype(np.int64, copy=False)
        for part in self._permutations:
            # The rank of each entry, ties in order of position: a permutation is its own rank.
            genes[:, part] = np.argsort(np.argsort(genes[:, part], axis=1, kind="stable"), axis=1, kind="stable")
        return self.canonical(genes)

    def __repr__(self) -> str:
        about = f"Genome of {self._about()}"
        return "\n".join([about, *table_lines(_table(self))])

    def _about(self) -> str:
        return f"{count(self.n_genes, 'gene')}, {rounded(self.size)} design{'s' if self.size > 1 else ''}"

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in _table(self)[1:]
        )
        head = "".join(f"<th>{escape(cell)}</th>" for cell in _table(self)[0])
        return f"<b>Genome</b> of {self._about()}<table><tr>{head}</tr>{rows}</table>"


class Designs:
    """A batch of designs with one attribute per gene group, decoded on first use.

    ``designs.name`` (or ``designs["name"]``) has shape ``(pop,)`` for a single gene and ``(pop, repeat)`` otherwise.

    Attributes:
        genome: The genome of the designs.
        genes: Indices into the allowed values, shape ``(pop, n_genes)``; read only.
    """

    def __init__(self, genome: Genome, genes: IntArray) -> None:
        self.genome = genome
        self.genes = genes

    def __len__(self) -> int:
        return len(self.genes)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.genome.group(name).values[self.indices(name)]

    def __getattr__(self, name: str) -> NDArray[Any]:
        # Only called for names that are not attributes yet: the gene groups.
        if name.startswith("_") or name == "genome":
            raise AttributeError(name)
        try:
            column = self[name]
        except ConfigError as error:
            raise AttributeError(str(error)) from None
        self.__dict__[name] = column
        return column

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(group.name for group in self.genome.groups)]

    def indices(self, name: str) -> IntArray:
        """Indices of a group into its allowed values, shape ``(pop,)`` or ``(pop, repeat)``.

        Raises:
            ConfigError: If there is no such group.
        """
        group = self.genome.group(name)
        part = self.genes[:, self.genome.slices[name]]
        return part[:, 0] if group.repeat is None else part

    def active(self, name: str) -> BoolArray:
        """Mask of the active genes of a repeated group, shape ``(pop, repeat)``.

        Raises:
            ConfigError: If there is no such group.
        """
        group = self.genome.group(name)
        if group.length is None:
            return np.ones((len(self), group.width), dtype=np.bool_)
        return np.asarray(np.arange(group.width) < self[group.length][:, None])

    def __repr__(self) -> str:
        return f"{count(len(self), 'design')}: {', '.join(group.name for group in self.genome.groups)}"


def _array(given: ArrayLike, width: int) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError:  # rows of different lengths
        raise ConfigError(f"genes have rows of different lengths; expected (pop, {width})") from None


def _check_names(groups: tuple[GeneGroup, ...], columns: tuple[str, ...]) -> None:
    """Raise ConfigError for names that would hide each other as attributes or as columns of a frame."""
    names = [group.name for group in groups]
    for name in (*names, *columns):
        if names.count(name) > 1 or columns.count(name) > 1:
            raise ConfigError(f"gene group name {name!r} is used twice")
        if name in _RESERVED or name == "genome":
            raise ConfigError(f"gene group name {name!r} is reserved")


def _table(genome: Genome) -> list[tuple[str, str, str, str]]:
    rows = [("group", "kind", "genes", "values")]
    for group in genome.groups:
        genes = f"{group.width}" + (f" (first {group.length} active)" if group.length else "")
        rows.append((group.name, type(group).__name__.lower(), genes, group.describe()))
    return rows
