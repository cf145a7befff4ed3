"""HuNT's eq. 8 (Ogbogu et al., IEEE TCAD 2024): heat flows along vertical stacks of PEs, as printed and corrected.

For the PE of tier ``z`` in stack ``o``, tiers counted from the sink:

    paper:   Q_oz = {sum_{u <= z} P_ou sum_{v <= u} R_v           + R_b sum_{u <= z} P_ou} Phi_H
    paper+:  Q_oz = {sum_u        P_ou sum_{v <= min(u, z)} R_v   + R_b sum_u        P_ou} Phi_H + R_t sum_pu P_pu

As printed, the heat of tiers farther from the sink does not flow through the layers below, and stacks do not heat each
other. ``paper+`` mends both.
"""

import numpy as np

from moopim.checks import numbers
from moopim.errors import unknown_name
from moopim.hardware.thermal.description import ThermalStack, check_stack, die_layers
from moopim.typing import FloatArray

_MODES = ("paper", "paper+")


def column_matrix(
    tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str, measured: FloatArray
) -> FloatArray:
    """Influence matrix of eq. 8 (K/W), shape ``(pes, pes)``, calibrated against ``measured`` as by `fit_columns`."""
    terms = _terms(tiers, mesh, pe_area_mm2, thermal, mode)
    parameters = fit_columns(tiers, mesh, pe_area_mm2, thermal, mode, measured)
    return np.asarray(sum(value * term for value, term in zip(parameters.values(), terms.values(), strict=True)))


def fit_columns(
    tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str, measured: FloatArray
) -> dict[str, float]:
    """Fit eq. 8 by least squares to an influence matrix (K/W), as the paper calibrates it with HotSpot.

    The fit is that with the least expected squared error of temperatures when the powers of PEs are independent and
    their standard deviation equals their mean, as that of exponential ones. No sign is imposed. Returns ``Phi_H``;
    ``R_b Phi_H`` (K/W); and, of ``paper+``, ``R_t`` (K/W).
    """
    terms = _terms(tiers, mesh, pe_area_mm2, thermal, mode)
    measured = numbers("measured", measured, (tiers * mesh**2, tiers * mesh**2))
    # The mean of p p' is 1 + 11' for such powers p of mean 1: squares of entries and squares of sums of rows.
    parts = [np.append(term.ravel(), term.sum(axis=1)) for term in (*terms.values(), measured)]
    found = np.linalg.lstsq(np.stack(parts[:-1], axis=1), parts[-1])[0]
    return dict(zip(terms, found.tolist(), strict=True))


def _terms(tiers: int, mesh: int, pe_area_mm2: float, thermal: ThermalStack, mode: str) -> dict[str, FloatArray]:
    """Factor of each free parameter, shape ``(pes, pes)``, by its name."""
    if mode not in _MODES:
        raise unknown_name("thermal mode of columns", mode, _MODES)
    check_stack(tiers, mesh, pe_area_mm2)
    die = die_layers(tiers, thermal)
    # R_v: the silicon of a tier and what lies below it, over the area of a PE, as HotSpot counts them.
    layer = die.thickness_m / die.conductivity / (pe_area_mm2 * 1e-6)
    to_sink = np.cumsum(layer.reshape(tiers, 2).sum(axis=1))
    tier = np.arange(tiers)
    if mode == "paper":
        heats = tier <= tier[:, None]  # tiers no farther from the sink
        parameters = {"Phi_H": heats * to_sink, "R_b Phi_H": heats.astype(np.float64)}
    else:
        parameters = {"Phi_H": to_sink[np.minimum(tier, tier[:, None])], "R_b Phi_H": np.ones((tiers, tiers))}
    same_stack = np.eye(mesh**2)
    terms = {name: np.kron(entries, same_stack) for name, entries in parameters.items()}
    return terms if mode == "paper" else terms | {"R_t": np.ones((tiers * mesh**2,) * 2)}
