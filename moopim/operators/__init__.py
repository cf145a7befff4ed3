"""Vectorised genetic operators on integer genomes, as pymoo operators.

The functions work on integer arrays of shape ``(pop, n_genes)`` and draw from the generator they are given; the
classes offer them to pymoo. All take the genome from the problem, so that one instance serves any problem.
"""

from moopim.operators.crossover import BlockCrossover, PointCrossover, UniformCrossover
from moopim.operators.duplicates import HashedDuplicateElimination
from moopim.operators.mutation import BlockMoveMutation, ResetMutation, SingleResetMutation, SwapMutation
from moopim.operators.perturbation import Perturbation
from moopim.operators.repair import DesignRepair
from moopim.operators.sampling import LatinHypercubeSampling, RandomSampling

__all__ = [
    "BlockCrossover",
    "BlockMoveMutation",
    "DesignRepair",
    "HashedDuplicateElimination",
    "LatinHypercubeSampling",
    "Perturbation",
    "PointCrossover",
    "RandomSampling",
    "ResetMutation",
    "SingleResetMutation",
    "SwapMutation",
    "UniformCrossover",
]
