"""NK landscapes with several correlated objectives."""

import math

import numpy as np
from scipy.special import ndtr

from moopim.checks import number, whole_number
from moopim.errors import ConfigError
from moopim.genes import Index
from moopim.genome import Designs, Genome
from moopim.problem import DesignProblem
from moopim.quantities import Objective
from moopim.typing import FloatArray, IntArray

# Contributions of an instance, half a gigabyte.
_MOST_CONTRIBUTIONS = 2**26


class MnkLandscape(DesignProblem):
    """Maximise the fitness of rho-MNK landscapes: NK landscapes with m correlated objectives.

    After Verel, Liefooghe, Jourdan and Dhaenens, EJOR 227(2), 2013; NK landscapes are Kauffman's (The Origins of Order,
    1993). An objective is the mean of the contributions of all genes, each uniform from 0 to 1 and set by the gene and
    its k links. The links, random ones, are those of all objectives. Contributions of two objectives have the
    correlation rho: they are distribution functions of normal numbers with the correlation ``2 sin(pi rho / 6)``.
    The landscapes as published have two alleles (q = 2); larger alphabets are an extension.

    Args:
        m: Number of objectives, 2 to 100.
        n: Number of genes, 1 to 10,000.
        k: Number of epistatic links of a gene, 0 to n - 1.
        rho: Correlation of each two objectives, at most 1; at least -1 with two objectives, -0.4825 with three.
        q: Number of alleles of a gene, at least 2.
        instance: Seed of the instance.

    Attributes:
        links: Genes that set the contribution of each gene, itself first, shape ``(n, k + 1)``.
        contributions: Contribution of each gene by the number that the alleles of its links are in base q, the first
            digit the lowest, shape ``(n, q ** (k + 1), m)``.

    Raises:
        ConfigError: If a number is out of its range, or there are more than 67,108,864 contributions.
    """

    def __init__(self, m: int = 2, n: int = 64, k: int = 4, rho: float = 0.0, q: int = 2, instance: int = 1) -> None:
        self.m = whole_number("m", m, 2, 100)
        self.n = whole_number("n", n, 1, 10_000)
        self.k = whole_number("k", k, 0, self.n - 1)
        self.rho = number("rho", rho, least=_least_correlation(self.m), most=1.0)
        self.q = whole_number("q", q, 2)
        self.instance = whole_number("instance", instance, 0)
        size = self.m * self.n * self.q ** (self.k + 1)
        if size > _MOST_CONTRIBUTIONS:
            raise ConfigError(
                f"k is {k} with m {m}, n {n} and q {q}: m n q^(k + 1) is above {_MOST_CONTRIBUTIONS:,}; "
                "expected smaller numbers"
            )
        random_state = np.random.default_rng(self.instance)
        self.links = _draw_links(self.n, self.k, random_state)
        normal = random_state.standard_normal((self.n, self.q ** (self.k + 1), self.m))
        # Rounded: equal objectives (rho = 1) are equal to the bit.
        self.contributions = ndtr(_correlated(normal, round(2 * math.sin(math.pi * self.rho / 6), 12)))
        self.objectives = [Objective(f"fitness{i + 1}", "1", "max") for i in range(self.m)]
        self.genome = Genome(Index("gene", self.q, repeat=self.n))
        super().__init__()

    def evaluate_designs(self, designs: Designs) -> dict[str, FloatArray]:
        """Every objective of designs, 0 to 1, shape ``(designs,)``."""
        numbers = designs.gene[:, self.links] @ self.q ** np.arange(self.k + 1)
        fitness = self.contributions[np.arange(self.n), numbers].mean(axis=1)
        return {f"fitness{i + 1}": fitness[:, i] for i in range(self.m)}


def _least_correlation(m: int) -> float:
    """Smallest correlation of m uniform numbers: that of the normal ones is then -1 / (m - 1)."""
    return round(-6 / math.pi * math.asin(1 / (2 * (m - 1))), 9)


def _draw_links(n: int, k: int, random_state: np.random.Generator) -> IntArray:
    """Each gene and k others, shape ``(n, k + 1)``."""
    links = np.empty((n, k + 1), dtype=np.int64)
    for gene in range(n):
        others = random_state.choice(n - 1, k, replace=False) if k else np.empty(0, dtype=np.int64)
        links[gene] = [gene, *(others + (others >= gene))]
    return links


def _correlated(normal: FloatArray, correlation: float) -> FloatArray:
    """Give independent normal numbers a correlation along the last axis."""
    # The root of the correlation matrix in closed form: a decomposition differs between libraries in the last bits.
    m = normal.shape[-1]
    own = math.sqrt(max(1 - correlation, 0.0))
    shared = (math.sqrt(max(1 + (m - 1) * correlation, 0.0)) - own) / m
    return np.asarray(own * normal + shared * normal.sum(axis=-1, keepdims=True))
