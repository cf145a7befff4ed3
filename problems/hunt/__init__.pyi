from .mapping import HuntMapping as HuntMapping
from .weighted import WeightedMapping as WeightedMapping
