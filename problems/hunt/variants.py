"""Variants of the model that the tables and figures of HuNT set side by side."""

from typing import Literal, NamedTuple

from moopim.errors import unknown_name

LOSS_LIMIT = 0.01
"""Largest loss of accuracy of a selected design (a share), as in the paper."""


class Variant(NamedTuple):
    """Variant of the model; its fields are options of `moopim.problems.hunt.HuntMapping`.

    Attributes:
        equations: Set of equations.
        precision: Number format of the gradient engine of the system model.
        factors: Factor set.
    """

    equations: Literal["system", "idealised"]
    precision: Literal["int8", "fp32"]
    factors: str

    @property
    def has_loss(self) -> bool:
        """Whether designs have a loss of accuracy: its scales are pinned on the idealised model."""
        return self.equations == "idealised"

    @property
    def loss_limit(self) -> float | None:
        """Largest loss of accuracy of a selected design (a share); None where there is no loss."""
        return LOSS_LIMIT if self.has_loss else None


VARIANTS = {
    "system int8": Variant("system", "int8", "physical"),
    "system fp32": Variant("system", "fp32", "physical"),
    "idealised physical": Variant("idealised", "int8", "physical"),
    "idealised calibrated": Variant("idealised", "int8", "calibrated"),
}
"""Variants by name, which is the column ``model`` of frames. In the idealised model the precision has no effect."""


def load_variant(name: str) -> Variant:
    """Variant of a name; raise ConfigError if it is unknown."""
    if name not in VARIANTS:
        raise unknown_name("model", name, VARIANTS)
    return VARIANTS[name]
