from .buffers import BufferSizing as BufferSizing
from .combinatorial import Assignment as Assignment
from .combinatorial import Knapsack as Knapsack
from .grids import DtlzGrid as DtlzGrid
from .grids import ZdtGrid as ZdtGrid
from .landscapes import MnkLandscape as MnkLandscape
