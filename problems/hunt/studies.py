"""Studies behind Figures 3 to 6 of HuNT (IEEE TCAD 2024): frames, a figure, and the paper's numbers beside them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from moopim.errors import ConfigError, unknown_name
from moopim.problems.hunt.baselines import published_layers, published_peak
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.paper import UNITS, architecture_frame, claim_text, mapped_layers, number_text, ratios
from moopim.problems.hunt.search import (
    EFFICIENCIES,
    REFERENCE_ORDER,
    TierOrderMapping,
    efficiency_by_order,
    farthest_share,
    front_by_order,
    is_heterogeneous,
    reference_design,
    search_front,
    select,
    selected_text,
)
from moopim.problems.hunt.variants import VARIANTS
from moopim.workload import WORKLOADS, load_workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = ("SSSS", "RRRS", "FFFS", "RRFS", "RFFS", REFERENCE_ORDER)
"""Tier orders that the paper names."""

_BP_TIERS: dict[str, Literal["free", "farthest"]] = {"free search": "free", "BP farthest": "farthest"}
_ORDER = "RRFS"  # of Figure 5
_FIRST = 5  # layers that count as first ones
_ONE_NETWORK = ("3", "4")  # figures of a single network


class Study(NamedTuple):
    """Study of a figure of the paper.

    Attributes:
        frames: Tables by name.
        plot: Function that plots the figure.
        notes: Numbers of the paper beside those found, one line each.
    """

    frames: dict[str, pd.DataFrame]
    plot: "Callable[[], Figure]"
    notes: list[str]


def figure_3(workloads: Sequence[str] = ("resnet34",), evaluations: int = 20_000, seed: int = 1) -> Study:
    """Figure 3: one design of each tier order on the front, relative to a mapping on the tiers S, F, F, R.

    The frame is ``orders``; the search of the reference design has a quarter of the evaluations. The hottest PE stands
    for the thermal noise, which is 0 in most designs of the system model.
    """
    parts, notes = [], []
    for name, variant in VARIANTS.items():
        front = search_front(HuntMapping(workloads[0], **variant._asdict()), evaluations, seed)
        reference = reference_design(workloads[0], variant, max(evaluations // 4, 1), seed)
        orders = front_by_order(front, reference)
        here = front_by_order(pd.DataFrame([reference]), reference)
        orders = pd.concat([here, orders[orders["tiers"] != REFERENCE_ORDER]], ignore_index=True)
        parts.append(orders.assign(model=name, kind=orders["tiers"].map(_kind)))
        notes += [
            f"{name}: {100 * farthest_share(front):.0f} % of heterogeneous designs have SRAM farthest (paper: all)",
            f"{name}: largest thermal noise {_noisiest(orders)} (paper: SFFR)",
            f"{name}: hottest PE of FFFS {_peak(orders)} (paper: {published_peak():g} K)",
        ]
    frame = pd.concat(parts, ignore_index=True)

    def plot() -> "Figure":
        from moopim.analysis.tier_orders import plot_tier_orders

        return plot_tier_orders(frame, NAMED)

    return Study({"orders": frame}, plot, notes)


def figure_4(workloads: Sequence[str] = ("vgg16",), evaluations: int = 20_000, seed: int = 1) -> Study:
    """Figure 4: TOPS/W and TOPS/mm2 of the tier orders on the front of the free search; the frame is ``orders``."""
    parts, notes = [], []
    for name, variant in VARIANTS.items():
        fronts = {
            words: search_front(HuntMapping(workloads[0], **variant._asdict(), bp_tier=bp_tier), evaluations, seed)
            for words, bp_tier in _BP_TIERS.items()
        }
        parts.append(efficiency_by_order(fronts["free search"]).assign(model=name))
        for words, front in fronts.items():
            for efficiency in EFFICIENCIES:
                limit = variant.loss_limit
                allowed = "" if limit is None else f" with at most {100 * limit:g} % loss"
                found = f"best {UNITS[efficiency]}{allowed} {selected_text(front, efficiency, limit)}"
                notes.append(f"{name}, {words}: {found} (paper: RRFS)")
    frame = pd.concat(parts, ignore_index=True)

    def plot() -> "Figure":
        from moopim.analysis.tier_orders import plot_order_efficiency

        return plot_order_efficiency(frame, NAMED)

    return Study({"orders": frame}, plot, notes)


def figure_5(workloads: Sequence[str] = ("densenet40", "vgg16"), evaluations: int = 10_000, seed: int = 1) -> Study:
    """Figure 5: places of the layers of the best mapping on the tiers R, R, F, S; the frame is ``layers``."""
    frames, notes = {}, []
    for name, variant in VARIANTS.items():
        for workload in workloads:
            problem = TierOrderMapping(_ORDER, workload, **variant._asdict())
            best = select(search_front(problem, evaluations, seed), limit=variant.loss_limit)
            network = problem.model.workload.network
            layers = mapped_layers(problem, best).assign(model=name, workload=network)
            loss = f", loss {100 * best['loss']:.2g} %" if variant.has_loss else ""
            frames[f"{network}, {name}: {best['tops_per_W']:.3g} TOPS/W{loss}"] = layers
            tiers, paper = _first_tiers(layers), _published_tier(network)
            notes.append(f"{network}, {name}: first layers on tiers {tiers} (paper: {paper})")

    def plot() -> "Figure":
        from moopim.analysis.stack import plot_placement

        return plot_placement(frames)

    return Study({"layers": pd.concat(frames.values(), ignore_index=True)}, plot, notes)


def figure_6(workloads: Sequence[str] = tuple(WORKLOADS), evaluations: int = 5_000, seed: int = 1) -> Study:
    """Figure 6: efficiencies and losses of all architectures on all networks.

    The frames are ``architectures``, and ``paper`` with the published numbers beside the same of the first.
    """
    frame = architecture_frame(workloads, evaluations=evaluations, seed=seed)
    claims = ratios(frame)
    notes = [
        f"{claim_text(claim)}: {', '.join(f'{name} {number_text(claim[name])}' for name in VARIANTS)} "
        f"(paper: {claim['value']:g})"
        for _, claim in claims.iterrows()
    ]

    def plot() -> "Figure":
        from moopim.analysis.tier_orders import plot_architectures

        return plot_architectures(frame, published_lines(claims))

    return Study({"architectures": frame, "paper": claims}, plot, notes)


def published_lines(claims: pd.DataFrame) -> pd.DataFrame:
    """Claims that are lines in Figure 6; losses are left out, since calibration sets them."""
    return claims[claims["quantity"].isin(["tops_per_W", "tops_per_mm2"])]


FIGURES: dict[str, Callable[..., Study]] = {"3": figure_3, "4": figure_4, "5": figure_5, "6": figure_6}
"""Studies by the number of the figure in the paper."""


def check_figure(figure: str) -> None:
    """Raise ConfigError unless a figure is one of `FIGURES`."""
    if figure not in FIGURES:
        raise unknown_name("figure", figure, FIGURES)


def make_study(figure: str, workloads: Sequence[str] = (), evaluations: int | None = None, seed: int = 1) -> Study:
    """Make the study of a figure of the paper.

    Args:
        figure: Number of the figure: ``3``, ``4``, ``5`` or ``6``.
        workloads: The networks; those of the figure by default.
        evaluations: Budget of each search; that of the figure by default.
        seed: Seed of the searches.

    Returns:
        The study.

    Raises:
        ConfigError: If a name is unknown, a number is not allowed or there are more networks than the figure has.
    """
    check_figure(figure)
    names = [load_workload(workload).network for workload in workloads]
    if len(names) > 1 and figure in _ONE_NETWORK:
        raise ConfigError(f"figure {figure} is of one network; got {', '.join(names)}")
    given = {"workloads": tuple(dict.fromkeys(names)), "evaluations": evaluations}
    return FIGURES[figure](seed=seed, **{name: value for name, value in given.items() if value not in ((), None)})


def _published_tier(network: str) -> str:
    """Tier of the first layers of a network in the paper."""
    layers = published_layers()
    tiers = layers.loc[(layers["workload"] == network) & (layers["first"] == 1), "tier"]
    return f"{tiers.iloc[0]} ({_ORDER[tiers.iloc[0] - 1]})" if len(tiers) else "not shown"


def _first_tiers(frame: pd.DataFrame) -> str:
    first = frame[frame["layer"].between(1, _FIRST)].sort_values("layer")
    return ", ".join(f"{tier} ({device})" for tier, device in first[["tier", "device"]].to_numpy())


def _peak(orders: pd.DataFrame) -> str:
    found = orders.loc[orders["tiers"] == "FFFS", "peak_K"]
    return f"{found.iloc[0]:.0f} K" if len(found) else "unknown, as none is on the front"


def _noisiest(orders: pd.DataFrame) -> str:
    return str(orders["tiers"].iloc[int(orders["err"].argmax())]) if orders["err"].max() > 0 else "nowhere above 0"


def _kind(tiers: str) -> str:
    if tiers == REFERENCE_ORDER:
        return f"reference {REFERENCE_ORDER}"
    if not is_heterogeneous(pd.Series([tiers])).iloc[0]:
        return "homogeneous"
    return "heterogeneous, S farthest" if tiers.endswith("S") else "heterogeneous, S elsewhere"
