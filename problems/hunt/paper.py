"""Architectures and claims of HuNT (Ogbogu et al., IEEE TCAD 2024) beside the model: frames, tables, a page."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.experiment.frames import read_designs
from moopim.hardware.stack.parameters import FACTOR_SETS
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.baselines import (
    ARCHITECTURES,
    baseline_model,
    evaluate_baseline,
    published,
    published_layers,
    published_peak,
)
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.plots import layers_frame, settle
from moopim.problems.hunt.search import (
    EFFICIENCIES,
    LOSS_LIMIT,
    REFERENCE_ORDER,
    TierOrderMapping,
    farthest_share,
    is_heterogeneous,
    order_losses,
    search_front,
    select,
    selected_text,
    with_loss_scales,
)
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.workload import WORKLOADS, load_workload

COLUMNS = {
    "set": "factor set",
    "workload": "network",
    "architecture": "name",
    "tiers": "tier order, tier 1 (at the heat sink) first",
    "model": "pools (no communication) or system (placed layers, communication)",
    "period_ns": "time per image (ns)",
    "energy_pJ": "energy per image (pJ)",
    "power_W": "power (W)",
    "peak_K": "hottest PE (K)",
    "loss": "loss of accuracy (a share), on a calibrated scale",
    "tops_per_W": "operations per energy (TOPS/W)",
    "tops_per_mm2": "operations per time and area of the stack (TOPS/mm2)",
    "over_tops_per_W": "TOPS/W of RRFS over this one",
    "over_tops_per_mm2": "TOPS/mm2 of RRFS over this one",
    "pools": "for two pools, the pool of each layer",
}
"""Columns of the frames of architectures, and their contents."""

SEARCHES: dict[str, Literal["free", "farthest"]] = {"HuNT": "free", "HuNT, BP farthest": "farthest"}
"""Tier for back-propagation in each search."""

UNITS = {"tops_per_W": "TOPS/W", "tops_per_mm2": "TOPS/mm²", "loss": "loss (%)"}
"""Names of quantities in tables."""

_METRICS = ("period_ns", "energy_pJ", "power_W", "peak_K", "loss", "tops_per_W", "tops_per_mm2")
_UNITS = {"period": "period_ns", "energy": "energy_pJ", "power": "power_W", "peak": "peak_K", "err": "loss"}
_HYDE = "HyDe-like"
_CLAIM_COLUMNS = ("claim", *FACTOR_SETS, "paper")
_WATTS = 95.0  # power at which the stack reaches about the peak that the paper gives
_SEARCHED = "ResNet34"


def baseline_frame(
    workloads: Sequence[str] = tuple(WORKLOADS), dataset: str = "cifar10", sets: Sequence[str] = FACTOR_SETS
) -> pd.DataFrame:
    """Baselines on pools of arrays, one row per factor set, network and architecture, with the columns of `COLUMNS`."""
    rows = [row for factors in sets for workload in workloads for row in _baseline_rows(workload, dataset, factors)]
    return _with_ratios(pd.DataFrame(rows))


def searched_frame(
    workload: str, dataset: str = "cifar10", factors: str = "physical", evaluations: int = 20_000, seed: int = 1
) -> pd.DataFrame:
    """Searched mappings, selected by the rule of the paper: at most 1 % loss, then the best TOPS/W.

    Three rows with the columns of `COLUMNS` as far as they apply: ``HyDe-like``, ``HuNT`` (any tier that can may serve
    back-propagation) and ``HuNT, BP farthest`` (only the tier farthest from the heat sink, as in the paper). Raise
    ConfigError if no design is selected.
    """
    hyde = search_front(WeightedMapping(workload, dataset, factors), evaluations, seed).iloc[0]
    found = {_HYDE: hyde}
    for name, bp_tier in SEARCHES.items():
        front = search_front(HuntMapping(workload, dataset, factors, bp_tier=bp_tier), evaluations, seed)
        found[name] = select(front)
    about = {"set": factors, "workload": load_workload(workload, dataset).network, "model": "system", "pools": ""}
    rows = [
        {**about, "architecture": name, "tiers": row["tiers"], **{metric: float(row[metric]) for metric in _METRICS}}
        for name, row in found.items()
    ]
    return pd.DataFrame(rows)


def architecture_frame(
    workloads: Sequence[str] = tuple(WORKLOADS),
    dataset: str = "cifar10",
    evaluations: int = 20_000,
    seed: int = 1,
    sets: Sequence[str] = FACTOR_SETS,
) -> pd.DataFrame:
    """Baselines and searched mappings side by side.

    Args:
        workloads: Networks.
        dataset: Data set that sets input size and classes.
        evaluations: Budget of each search.
        seed: Seed of the searches.
        sets: Factor sets.

    Returns:
        One row per factor set, network and architecture, with the columns of `moopim.problems.hunt.paper.COLUMNS`.

    Raises:
        ConfigError: If a name is unknown, a network does not fit or a number is not allowed.
    """
    for name, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name}={value} is not allowed; expected {least}, {least + 1}, ...")
    parts = [
        part
        for factors in sets
        for workload in workloads
        for part in (
            pd.DataFrame(_baseline_rows(workload, dataset, factors)),
            searched_frame(workload, dataset, factors, evaluations, seed),
        )
    ]
    return _with_ratios(pd.concat(parts, ignore_index=True))


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Published numbers beside the same statistics of `baseline_frame` or `architecture_frame`.

    The rows of `moopim.problems.hunt.baselines.published`, with a column per factor set of the frame; losses in per
    cent.
    """
    claims = published()
    for factors, part in frame.groupby("set", sort=False):
        claims[str(factors)] = [_statistic(part, claim) for claim in claims.itertuples()]
    return claims


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table with columns of even width, the first aligned to the left, the others to the right."""
    lines = [list(map(str, row)) for row in (header, *rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def claim_text(claim: pd.Series) -> str:
    """Published number in words, such as ``RRFS over SSSS, TOPS/W, best network``."""
    statistic = {"max": "best network", "mean": "mean of the networks"}.get(claim["statistic"], claim["statistic"])
    if claim["quantity"].startswith("over_"):
        return f"RRFS over {claim['architecture']}, {UNITS[claim['quantity'][5:]]}, {statistic}"
    words = {"loss": "loss of accuracy (%)", "peak_K": "hottest PE (K)"}.get(claim["quantity"])
    statistic = statistic.replace("best", "worst") if claim["quantity"] == "loss" else statistic
    calibrated = ", set by calibration" if claim["name"] in ("loss_FFFS", "loss_RRRS") else ""
    return f"{claim['architecture']}, {words or UNITS[claim['quantity']]}, {statistic}{calibrated}"


def architecture_tables(frame: pd.DataFrame) -> str:
    """Tables of `architecture_frame` of one network for TOPS/W, TOPS/mm2 and loss, with the lead of RRFS."""
    return "\n\n".join(_table(frame, quantity) for quantity in UNITS)


def pool_claims() -> pd.DataFrame:
    """Claims about architectures on pools of arrays, as text: ``claim``, ``physical``, ``calibrated`` and ``paper``.

    They need no search, so the numbers are the same every time.
    """
    frame = baseline_frame()
    rows = [
        _claim_row(claim_text(claim), _paper_text(claim), [f"{claim[name]:.3g}" for name in FACTOR_SETS])
        for _, claim in ratios(frame).iterrows()
    ]
    for efficiency in EFFICIENCIES:
        text = f"networks on which RRFS has the best {UNITS[efficiency]}"
        rows.append(_claim_row(text, "5 of 5", _best_on(frame, efficiency, "RRFS")))
    plain = frame[frame["architecture"].isin(["SSSS", "RRRS", "FFFS"])]
    text = "networks on which FFFS is hotter than RRRS and SSSS"
    rows.append(_claim_row(text, "ResNet34 named", _best_on(plain, "peak_K", "FFFS")))
    text = f"hottest PE with {_WATTS:g} W, evenly on the stack (K)"
    rows.append(_claim_row(text, f"{published_peak():g}, power not given", [_even_peak(name) for name in FACTOR_SETS]))
    text = f"place of {REFERENCE_ORDER} among the 32 orders of one SRAM tier by loss, and the worst order ({_SEARCHED})"
    places = [_order_rank(order_losses(_SEARCHED, factors=name)) for name in FACTOR_SETS]
    rows.append(_claim_row(text, f"1, {REFERENCE_ORDER}", places))
    return pd.DataFrame(rows)


def search_claims(evaluations: int = 5_000, seed: int = 1) -> pd.DataFrame:
    """Claims about searched designs, as `pool_claims`; the numbers depend on budget and seed."""
    rows = []
    for network, bp_tier in product((_SEARCHED, "VGG16"), SEARCHES.values()):
        problems = [HuntMapping(network, factors=name, bp_tier=bp_tier) for name in FACTOR_SETS]
        fronts = [search_front(problem, evaluations, seed) for problem in problems]
        if (network, bp_tier) == (_SEARCHED, "free"):
            text = f"heterogeneous designs on the front whose farthest tier is SRAM ({network}, free)"
            rows.append(_claim_row(text, "all", [_farthest_text(front) for front in fronts]))
        for efficiency in EFFICIENCIES:
            text = f"best {UNITS[efficiency]} with at most 1 % loss ({network}, {bp_tier})"
            rows.append(_claim_row(text, "RRFS", [selected_text(front, efficiency) for front in fronts]))
    for name, runs in published_layers().groupby("workload"):
        network = str(name)
        mapped = [_selected_layers(network, factors, evaluations, seed) for factors in FACTOR_SETS]
        for first, last, tier in runs[["first", "last", "tier"]].to_numpy().tolist():
            text = f"layers {first}-{last} of {network} on tier {tier} of the best RRFS with at most 1 % loss"
            rows.append(_claim_row(text, "most", [_share_on(layers, first, last, tier) for layers in mapped]))
    return pd.DataFrame(rows)


def claims_page(evaluations: int = 5_000, seed: int = 1) -> str:
    """All claims as a page in Markdown; searches have a budget of evaluations and a seed."""
    searches, pools = (  # the searches first: they check budget and seed
        markdown_table(_CLAIM_COLUMNS, frame[list(_CLAIM_COLUMNS)].to_numpy().tolist())
        for frame in (search_claims(evaluations, seed), pool_claims())
    )
    return _PAGE.format(pools=pools, searches=searches, evaluations=f"{evaluations:,}", seed=seed)


def _statistic(frame: pd.DataFrame, claim: tuple[object, ...]) -> float:
    """Statistic of a frame that a claim is about; NaN if the frame lacks its network."""
    quantity, statistic = str(getattr(claim, "quantity")), str(getattr(claim, "statistic"))  # noqa: B009
    values = frame[frame["architecture"] == getattr(claim, "architecture")].set_index("workload")[quantity]  # noqa: B009
    value = values.agg(statistic) if statistic in ("max", "mean") else values.get(statistic, np.nan)
    return float(value) * (100 if quantity == "loss" else 1)


def _baseline_rows(workload: str, dataset: str, factors: str) -> Iterator[dict[str, object]]:
    model = with_loss_scales(baseline_model(workload, dataset, factors), factors)
    for architecture, order in ARCHITECTURES.items():
        metrics, pools = evaluate_baseline(model, architecture)
        about = {"set": factors, "workload": model.workload.network, "architecture": architecture, "tiers": order}
        values = {_UNITS.get(name, name): value for name, value in metrics.items()}
        yield {**about, "model": "pools", "pools": pools if len(set(pools)) > 1 else "", **values}


def _with_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the efficiencies of RRFS over those of each row, network by network."""
    best = frame[frame["architecture"] == "RRFS"].set_index(["set", "workload"])
    keys = pd.MultiIndex.from_frame(frame[["set", "workload"]])
    for metric in ("tops_per_W", "tops_per_mm2"):
        frame[f"over_{metric}"] = best[metric].reindex(keys).to_numpy() / frame[metric].to_numpy()
    return frame[list(COLUMNS)]


def _table(frame: pd.DataFrame, quantity: str) -> str:
    over = f"over_{quantity}"
    quantities = [quantity, over] if over in frame.columns else [quantity]
    header = [UNITS[quantity], "tiers", *FACTOR_SETS, "paper"]
    header += [f"RRFS over it: {FACTOR_SETS[0]}", *FACTOR_SETS[1:], "paper"][: 3 * len(quantities) - 3]
    rows = []
    for architecture, part in frame.groupby("architecture", sort=False):
        values = part.set_index("set")
        cells = [str(architecture), " ".join(dict.fromkeys(part["tiers"]))]
        for name in quantities:
            scale = 100 if name == "loss" else 1
            cells += [f"{scale * values[name][factors]:.3g}" for factors in FACTOR_SETS]
            cells.append(_paper_cell(str(architecture), name))
        rows.append(cells)
    return markdown_table(header, rows)


def _paper_cell(architecture: str, quantity: str) -> str:
    """Numbers of the paper for an architecture over all networks; a dash if there are none."""
    claims = published()
    found = claims[(claims["architecture"] == architecture) & (claims["quantity"] == quantity)]
    words = {"max": "at most", "mean": "mean"}
    texts = [f"{words[claim['statistic']]} {claim['value']:g}" for _, claim in found.iterrows()]
    return ", ".join(texts) or "-"


def _claim_row(claim: str, paper: str, values: Sequence[str]) -> dict[str, str]:
    return {"claim": claim, **dict(zip(FACTOR_SETS, values, strict=True)), "paper": paper}


def _paper_text(claim: pd.Series) -> str:
    less = "below " if claim["name"] == "loss_RRFS" else ""
    return f"{less}{claim['value']:g} ({claim['source'].replace('section ', '').partition(':')[0]})"


def _best_on(frame: pd.DataFrame, column: str, architecture: str) -> list[str]:
    """Number of networks on which an architecture has the largest value, by factor set."""
    best = frame.loc[frame.groupby(["set", "workload"])[column].idxmax()].set_index("set")["architecture"]
    return [f"{(best[name] == architecture).sum()} of {len(best[name])}" for name in FACTOR_SETS]


def _even_peak(factors: str) -> str:
    model = baseline_model(_SEARCHED, factors=factors)
    power = np.full((1, model.stack.pes), _WATTS / model.stack.pes)
    return f"{model.ambient_K + temperature_rise(power, model.influence).max():.0f}"


def _order_rank(losses: pd.DataFrame) -> str:
    rank = losses.index[losses["tiers"] == REFERENCE_ORDER][0] + 1
    return f"{rank}, {losses['tiers'].iloc[0]}"


def _farthest_text(front: pd.DataFrame) -> str:
    return f"{100 * farthest_share(front):.0f} % of {is_heterogeneous(front['tiers']).sum()}"


def mapped_layers(problem: HuntMapping, design: pd.Series) -> pd.DataFrame:
    """Places of the layers of a mapping, a row of a searched front, as `moopim.problems.hunt.plots.layers_frame`."""
    designs = read_designs(problem.genome, design.to_frame().T.infer_objects())
    return layers_frame(problem, settle(problem, designs))


def _selected_layers(network: str, factors: str, evaluations: int, seed: int) -> pd.DataFrame | None:
    """Places of the layers of the selected mapping; None where no mapping is selected."""
    problem = TierOrderMapping("RRFS", network, factors=factors)
    front = search_front(problem, evaluations, seed)
    return mapped_layers(problem, select(front)) if (front["loss"] <= LOSS_LIMIT).any() else None


def _share_on(layers: pd.DataFrame | None, first: int, last: int, tier: int) -> str:
    if layers is None:
        return "none"
    asked = layers[layers["layer"].between(first, last)]
    return f"{(asked['tier'] == tier).sum()} of {len(asked)}"


_PAGE = """\
# HuNT's claims and what the model gives

`moopim hunt claims` writes this page: what the paper (Ogbogu et al., IEEE TCAD 2024) states, beside what the
[model](hunt.md) gives with the physical and with the calibrated factors. All numbers are for CIFAR-10. A tier order
such as RRFS names the devices from the heat sink outwards. No row is an assertion of this package.

The calibrated factors were fitted to many of these very numbers: that they come near them shows that such factors
exist, and is no evidence for the paper. The physical factors were not fitted, and do not reach the published ratios.

## Architectures

Each on pools of arrays: a layer may use the arrays of all forward tiers of its device, its load is even over them,
communication is left out. Where a tier order has two forward devices, layers go where energy times period is least.
Temperatures are those of the even load. `moopim hunt baselines` prints these numbers network by network.

Losses of accuracy put two scales on eqs 6-7, which the paper leaves open. The scales are pinned so that, over the five
networks, the worst loss is 2.5 % on RRRS and 4 % on FFFS; these two rows hold by calibration, the others follow.

"Best network" is the largest of the five, "mean" their mean. The numbers of the paper carry the section that has them.

{pools}

## Designs of a search

Of AMOSA on placed layers with communication, {evaluations} evaluations, seed {seed}. In the searches called "free"
any tier that can may serve back-propagation, in those called "farthest" only the tier farthest from the sink. Designs
are selected as in the paper: of the front, those that lose at most 1 % of accuracy; of these, the most efficient.
On another processor, rounding may lead a search elsewhere; other budgets and seeds do.

{searches}

## Why some cannot hold together

RRFS can beat RRRS and FFFS by 1.3 and 1.5 on one network only if its devices differ more in speed, layer by layer,
than array geometry and activation writes make them differ, so the two maxima belong to different networks. A tenfold
lead over SSSS needs most of SSSS's energy to be static. The lead over HyperX comes with a policy that keeps many layers
on SRAM, not with its tiers: the same tiers with a free choice lose much less. A back-propagation tier farthest from the
sink is farther on average from the forward tiers than one in the middle, so communication (eqs 4 and 11) speaks against
it. Losses of 2.5 % on RRRS and 4 % on FFFS leave more than 1 % for RRFS, since the noise of its layers on either device
is of the same size. The paper also differs from itself: over FFFS it has 2.6 and 3, over heterogeneous rivals up to 3.5
and 2.4 or 4.5 and 3.2, and ReRAM stands 10^8 or 10^12 writes.
"""
