"""Architectures and claims of HuNT (Ogbogu et al., IEEE TCAD 2024) beside the model: frames, tables, a page."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from moopim.errors import ConfigError
from moopim.experiment.frames import read_designs
from moopim.experiment.running import run
from moopim.genome import Designs
from moopim.hardware.stack.idealised import IdealisedModel
from moopim.hardware.stack.layer_costs import copies_period
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.system import SystemModel
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
    OPTIMISER,
    REFERENCE_ORDER,
    TierOrderMapping,
    farthest_share,
    is_heterogeneous,
    order_losses,
    search_front,
    select,
    selected_text,
    tier_orders,
    with_loss_scales,
)
from moopim.problems.hunt.variants import VARIANTS, Variant, load_variant
from moopim.problems.hunt.weighted import WeightedMapping
from moopim.typing import FloatArray
from moopim.workload import WORKLOADS, load_workload

COLUMNS = {
    "model": "variant of the model, a name of moopim.problems.hunt.VARIANTS",
    "workload": "network",
    "architecture": "name",
    "tiers": "tier order, tier 1 (at the heat sink) first",
    "layers": "on pools of arrays (pools; no communication), or placed by a search (placed)",
    "period_ns": "time per image (ns)",
    "energy_pJ": "energy per image (pJ)",
    "power_W": "power (W)",
    "peak_K": "hottest PE (K)",
    "loss": "loss of accuracy (a share), on a calibrated scale; none in the system model",
    "trainings": "trainings until cells are worn out; none in the idealised model",
    "tops_per_W": "operations per energy (TOPS/W)",
    "tops_per_mm2": "operations per time and area (TOPS/mm2): in use in the system model, else of the stack; where "
    "layers are placed, the best of the same search",
    "over_tops_per_W": "TOPS/W of RRFS over this one",
    "over_tops_per_mm2": "TOPS/mm2 of RRFS over this one",
    "pools": "for two pools, the pool of each layer",
}
"""Columns of the frames of architectures, and their contents."""

SEARCHES: dict[str, Literal["free", "farthest"]] = {"HuNT": "free", "HuNT, BP farthest": "farthest"}
"""Tier for back-propagation in each search."""

UNITS = {
    "tops_per_W": "TOPS/W",
    "tops_per_mm2": "TOPS/mm²",
    "loss": "loss (%)",
    "peak_K": "hottest PE (K)",
    "trainings": "trainings",
}
"""Names of quantities in tables."""

_METRICS = ("period_ns", "energy_pJ", "power_W", "peak_K", "loss", "trainings", "tops_per_W", "tops_per_mm2")
_UNITS = {"period": "period_ns", "energy": "energy_pJ", "power": "power_W", "peak": "peak_K", "err": "loss"}
_POLICIES: dict[str, Literal["free", "hyperx", "accured"]] = {"HyperX RSSS": "hyperx", "AccuReD RRGG": "accured"}
_HYDE = "HyDe-like"
_CLAIM_COLUMNS = ("claim", *VARIANTS, "paper")
_WATTS = 95.0  # power at which the stack reaches about the peak that the paper gives
_SEARCHED = "ResNet34"
_NEAR = 0.2  # of a published ratio
_NOISE = 0.01  # of an efficiency, between the seeds of a search


def baseline_frame(
    workloads: Sequence[str] = tuple(WORKLOADS),
    dataset: str = "cifar10",
    evaluations: int = 15_000,
    seed: int = 1,
    models: Sequence[str] = tuple(VARIANTS),
) -> pd.DataFrame:
    """Baselines, one row per model, network and architecture, with the columns of `COLUMNS`.

    In the idealised model they are on pools of arrays, without a search. In the system model their layers are placed by
    a search on the tiers of the architecture.
    """
    _check_budget(evaluations, seed)
    parts = [_baselines(name, workload, dataset, evaluations, seed) for name in models for workload in workloads]
    return _with_ratios(pd.concat(parts, ignore_index=True))


def searched_frame(
    model: str, workload: str, dataset: str = "cifar10", evaluations: int = 15_000, seed: int = 1
) -> pd.DataFrame:
    """Searched mappings, selected by the rule of the paper: at most 1 % loss, if there is one, then the best TOPS/W.

    Three rows with the columns of `COLUMNS` as far as they apply: ``HyDe-like``, ``HuNT`` (any tier that can may serve
    back-propagation) and ``HuNT, BP farthest`` (only the tier farthest from the heat sink, as in the paper). Raise
    ConfigError if no design is selected.
    """
    variant = load_variant(model)
    weighted = search_front(WeightedMapping(workload, dataset, **variant._asdict()), evaluations, seed)
    found = {_HYDE: _selected(weighted, None)}  # the one design of the search
    for name, bp_tier in SEARCHES.items():
        front = search_front(HuntMapping(workload, dataset, **variant._asdict(), bp_tier=bp_tier), evaluations, seed)
        found[name] = _selected(front, variant.loss_limit)
    network = load_workload(workload, dataset).network
    about = {"model": model, "workload": network, "layers": "placed", "pools": ""}
    return pd.DataFrame([{**about, "architecture": name, **row} for name, row in found.items()])


def architecture_frame(
    workloads: Sequence[str] = tuple(WORKLOADS),
    dataset: str = "cifar10",
    evaluations: int = 15_000,
    seed: int = 1,
    models: Sequence[str] = tuple(VARIANTS),
) -> pd.DataFrame:
    """Baselines and searched mappings side by side.

    Args:
        workloads: Networks.
        dataset: Data set that sets input size and classes.
        evaluations: Budget of each search.
        seed: Seed of the searches.
        models: Variants of the model, names of `moopim.problems.hunt.VARIANTS`.

    Returns:
        One row per model, network and architecture, with the columns of `moopim.problems.hunt.paper.COLUMNS`.

    Raises:
        ConfigError: If a name is unknown, a network does not fit or a number is not allowed.
    """
    _check_budget(evaluations, seed)
    parts = [
        make(name, workload, dataset, evaluations, seed)
        for name in models
        for workload in workloads
        for make in (_baselines, searched_frame)
    ]
    return _with_ratios(pd.concat(parts, ignore_index=True))


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Published numbers beside the same statistics of `baseline_frame` or `architecture_frame`.

    The rows of `moopim.problems.hunt.baselines.published`, with a column per model of the frame; losses in per cent,
    NaN in the system model.
    """
    claims = published()
    for model, part in frame.groupby("model", sort=False):
        claims[str(model)] = [_statistic(part, claim) for claim in claims.itertuples()]
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


def _frame_table(frame: pd.DataFrame) -> str:
    """Markdown table of a frame of texts."""
    return markdown_table([str(column) for column in frame.columns], frame.to_numpy().tolist())


def claim_text(claim: pd.Series) -> str:
    """Published number in words, such as ``RRFS over SSSS, TOPS/W, best network``."""
    statistic = {"max": "best network", "mean": "mean of the networks"}.get(claim["statistic"], claim["statistic"])
    if claim["quantity"].startswith("over_"):
        return f"RRFS over {claim['architecture']}, {UNITS[claim['quantity'][5:]]}, {statistic}"
    words = {"loss": "loss of accuracy (%)"}.get(claim["quantity"], UNITS[claim["quantity"]])
    statistic = statistic.replace("best", "worst") if claim["quantity"] == "loss" else statistic
    calibrated = ", set by calibration" if claim["name"] in ("loss_FFFS", "loss_RRRS") else ""
    return f"{claim['architecture']}, {words}, {statistic}{calibrated}"


def architecture_tables(frame: pd.DataFrame) -> str:
    """Tables of `architecture_frame` of one network: a column per model, and the paper's numbers over all networks."""
    quantities = [*UNITS, *(f"over_{efficiency}" for efficiency in EFFICIENCIES)]
    return "\n\n".join(_table(frame, quantity) for quantity in quantities)


def architecture_claims(frame: pd.DataFrame) -> pd.DataFrame:
    """Claims about architectures, as text: ``claim``, a column per model, and ``paper``; from a `baseline_frame`."""
    models = list(dict.fromkeys(frame["model"]))
    found = ratios(frame)
    rows = [
        _claim_row(claim_text(claim), _paper_text(claim), {name: number_text(claim[name]) for name in models})
        for _, claim in found.iterrows()
    ]
    over = found[found["quantity"].str.startswith("over_")]
    near = {name: (abs(over[name] / over["value"] - 1) <= _NEAR).sum() for name in models}
    text = f"ratios of RRFS over another one within {100 * _NEAR:.0f} % of the paper's"
    rows.append(_claim_row(text, f"{len(over)} of {len(over)}", {x: f"{n} of {len(over)}" for x, n in near.items()}))
    for efficiency in EFFICIENCIES:
        text = f"networks on which RRFS has the best {UNITS[efficiency]}, to {_NOISE:.0%}".replace("%", " %")
        rows.append(_claim_row(text, "5 of 5", _best_on(frame, efficiency, "RRFS", _NOISE)))
    plain = frame[frame["architecture"].isin(["SSSS", "RRRS", "FFFS"])]
    text = "networks on which FFFS is hotter than RRRS and SSSS"
    rows.append(_claim_row(text, "ResNet34 named", _best_on(plain, "peak_K", "FFFS", 0)))
    text = f"hottest PE with {_WATTS:g} W, evenly on the stack (K)"
    rows.append(_claim_row(text, f"{published_peak():g}, power not given", dict.fromkeys(models, _even_peak())))
    text = f"place of {REFERENCE_ORDER} among the 32 orders of one SRAM tier by loss, and the worst order ({_SEARCHED})"
    places = {name: _order_rank(order_losses(_SEARCHED, factors=VARIANTS[name].factors)) for name in _lossy(models)}
    rows.append(_claim_row(text, f"1, {REFERENCE_ORDER}", dict.fromkeys(models, "-") | places))
    return pd.DataFrame(rows)


def search_claims(evaluations: int = 15_000, seed: int = 1) -> pd.DataFrame:
    """Claims about searched designs, as `architecture_claims`; the numbers depend on budget and seed."""
    rows = []
    for network, bp_tier in product((_SEARCHED, "VGG16"), SEARCHES.values()):
        fronts = {
            name: search_front(HuntMapping(network, **variant._asdict(), bp_tier=bp_tier), evaluations, seed)
            for name, variant in VARIANTS.items()
        }
        if (network, bp_tier) == (_SEARCHED, "free"):
            text = f"heterogeneous designs on the front whose farthest tier is SRAM ({network}, free)"
            rows.append(_claim_row(text, "all", {name: _farthest_text(front) for name, front in fronts.items()}))
        for efficiency in EFFICIENCIES:
            text = f"best {UNITS[efficiency]} ({network}, {bp_tier})"
            best = {name: selected_text(fronts[name], efficiency, VARIANTS[name].loss_limit) for name in VARIANTS}
            rows.append(_claim_row(text, "RRFS", best))
    for name, runs in published_layers().groupby("workload"):
        network = str(name)
        mapped = {name: _selected_layers(network, variant, evaluations, seed) for name, variant in VARIANTS.items()}
        for first, last, tier in runs[["first", "last", "tier"]].to_numpy().tolist():
            text = f"layers {first}-{last} of {network} on tier {tier} of the best RRFS by TOPS/W"
            there = {name: _share_on(layers, first, last, tier) for name, layers in mapped.items()}
            rows.append(_claim_row(text, "most", there))
    return pd.DataFrame(rows)


def search_facts(evaluations: int = 15_000, seed: int = 1) -> pd.DataFrame:
    """Selectivity and extremes of a search, as text: ``quantity`` and a column per model, see `claims_page`."""
    return (
        pd.DataFrame({name: _facts(variant, evaluations, seed) for name, variant in VARIANTS.items()})
        .rename_axis("quantity")
        .reset_index()
    )


def claims_page(evaluations: int = 15_000, seed: int = 1) -> str:
    """All claims as a page in Markdown; searches have a budget of evaluations and a seed."""
    frame = baseline_frame(evaluations=evaluations, seed=seed)
    network = frame[frame["workload"] == _SEARCHED]
    tables = [architecture_claims(frame), search_claims(evaluations, seed), search_facts(evaluations, seed)]
    architectures, searches, facts = (_frame_table(table) for table in tables)
    return _PAGE.format(
        architectures=architectures,
        network="\n\n".join(_table(network, quantity) for quantity in UNITS),
        searches=searches,
        facts=facts,
        optimiser=OPTIMISER,
        evaluations=f"{evaluations:,}",
        count=evaluations,
        seed=seed,
    )


def _check_budget(evaluations: int, seed: int) -> None:
    for name, value, least in (("evaluations", evaluations, 1), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"{name}={value} is not allowed; expected {least}, {least + 1}, ...")


def _statistic(frame: pd.DataFrame, claim: tuple[object, ...]) -> float:
    """Statistic of a frame that a claim is about; NaN if the frame lacks its network."""
    quantity, statistic = str(getattr(claim, "quantity")), str(getattr(claim, "statistic"))  # noqa: B009
    values = frame[frame["architecture"] == getattr(claim, "architecture")].set_index("workload")[quantity]  # noqa: B009
    value = values.agg(statistic) if statistic in ("max", "mean") else values.get(statistic, np.nan)
    return float(value) * (100 if quantity == "loss" else 1)


def _baselines(model: str, workload: str, dataset: str, evaluations: int, seed: int) -> pd.DataFrame:
    """Rows of `baseline_frame` of one model and network, without the ratios."""
    variant, network = load_variant(model), load_workload(workload, dataset).network
    if variant.has_loss:
        pooled = with_loss_scales(baseline_model(workload, dataset, variant.factors), variant.factors)
        rows = {name: {"tiers": order, **_on_pools(pooled, name)} for name, order in ARCHITECTURES.items()}
    else:
        rows = {}
        for name, order in ARCHITECTURES.items():
            policy = _POLICIES.get(name, "free")
            problem = TierOrderMapping(order, workload, dataset, **variant._asdict(), policy=policy)
            front = search_front(problem, evaluations, seed)
            rows[name] = {**_selected(front, variant.loss_limit), "layers": "placed", "pools": ""}
    about = {"model": model, "workload": network}
    return pd.DataFrame([{**about, "architecture": name, **row} for name, row in rows.items()])


def _on_pools(model: IdealisedModel, architecture: str) -> dict[str, Any]:
    """Metrics of a baseline on pools of arrays."""
    metrics, pools = evaluate_baseline(model, architecture)
    values = {_UNITS.get(name, name): value for name, value in metrics.items()}
    return {**values, "trainings": np.nan, "layers": "pools", "pools": pools if len(set(pools)) > 1 else ""}


def _selected(front: pd.DataFrame, limit: float | None) -> dict[str, Any]:
    """Design with the best TOPS/W of a front, and the best TOPS/mm2 of the same front."""
    best, dense = (select(front, efficiency, limit) for efficiency in EFFICIENCIES)
    metrics = {metric: float(best.get(metric, np.nan)) for metric in _METRICS}
    return {"tiers": best["tiers"], **metrics, "tops_per_mm2": float(dense["tops_per_mm2"])}


def _with_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the efficiencies of RRFS over those of each row, network by network."""
    best = frame[frame["architecture"] == "RRFS"].set_index(["model", "workload"])
    keys = pd.MultiIndex.from_frame(frame[["model", "workload"]])
    for efficiency in EFFICIENCIES:
        frame[f"over_{efficiency}"] = best[efficiency].reindex(keys).to_numpy() / frame[efficiency].to_numpy()
    return frame[list(COLUMNS)]


def _table(frame: pd.DataFrame, quantity: str) -> str:
    """Table of one quantity of an `architecture_frame` of one network; orders that were searched stand in the cells."""
    models = list(dict.fromkeys(frame["model"]))
    over = quantity.startswith("over_")
    title = f"RRFS over it, {UNITS[quantity[5:]]}" if over else UNITS[quantity]
    rows = []
    for architecture, part in frame.groupby("architecture", sort=False):
        values = (part.set_index("model")[quantity] * (100 if quantity == "loss" else 1)).map(number_text)
        orders = part.set_index("model")["tiers"]
        same = orders.nunique() == 1
        plain = same or over or quantity == "tops_per_mm2"  # the best TOPS/mm2 may be of another design
        cells = [values[name] if plain or values[name] == "-" else f"{orders[name]} {values[name]}" for name in models]
        tiers = str(orders.iloc[0]) if same else "searched"
        rows.append([str(architecture), tiers, *cells, _paper_cell(str(architecture), quantity)])
    return markdown_table([title, "tiers", *models, "paper"], rows)


def number_text(value: float) -> str:
    """Number with three digits, or all of its whole ones below a million; a dash where there is none."""
    if np.isnan(value):
        return "-"
    return f"{value:,.0f}" if 1e3 <= value < 1e6 else f"{value:.3g}"  # noqa: PLR2004 (a thousand to a million)


def _paper_cell(architecture: str, quantity: str) -> str:
    """Numbers of the paper for an architecture over all networks; a dash if there are none."""
    claims = published()
    found = claims[(claims["architecture"] == architecture) & (claims["quantity"] == quantity)]
    words = {"max": "at most", "mean": "mean"}
    texts = [f"{words.get(claim['statistic'], claim['statistic'])} {claim['value']:g}" for _, claim in found.iterrows()]
    return ", ".join(texts) or "-"


def _claim_row(claim: str, paper: str, values: dict[str, str]) -> dict[str, str]:
    return {"claim": claim, **values, "paper": paper}


def _paper_text(claim: pd.Series) -> str:
    less = "below " if claim["name"] == "loss_RRFS" else ""
    return f"{less}{claim['value']:g} ({claim['source'].replace('section ', '').partition(':')[0]})"


def _lossy(models: Sequence[str]) -> list[str]:
    return [name for name in models if VARIANTS[name].has_loss]


def _best_on(frame: pd.DataFrame, column: str, architecture: str, within: float) -> dict[str, str]:
    """Number of networks on which an architecture has the largest value, or one within a share of it, by model."""
    largest = frame.groupby(["model", "workload"], sort=False)[column].transform("max")
    near = frame[frame["architecture"] == architecture].assign(hit=frame[column] >= (1 - within) * largest)
    hits = near.groupby("model", sort=False)["hit"]
    return {str(name): f"{hit.sum()} of {len(hit)}" for name, hit in hits}


def _even_peak() -> str:
    model = baseline_model(_SEARCHED)
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


def _selected_layers(network: str, variant: Variant, evaluations: int, seed: int) -> pd.DataFrame | None:
    """Places of the layers of the selected mapping on RRFS; None where no mapping is selected."""
    problem = TierOrderMapping("RRFS", network, **variant._asdict())
    front, limit = search_front(problem, evaluations, seed), variant.loss_limit
    if limit is not None and not (front["loss"] <= limit).any():
        return None
    return mapped_layers(problem, select(front, limit=limit))


def _share_on(layers: pd.DataFrame | None, first: int, last: int, tier: int) -> str:
    if layers is None:
        return "none"
    asked = layers[layers["layer"].between(first, last)]
    return f"{(asked['tier'] == tier).sum()} of {len(asked)}"


def _facts(variant: Variant, evaluations: int, seed: int) -> dict[str, str]:
    """Facts of a search by one model: how selective it is, its copies, its most efficient design, its extremes."""
    problem = HuntMapping(_SEARCHED, **variant._asdict())
    found = run(problem, OPTIMISER, evaluations=evaluations, seed=seed, progress=False)
    every, front = found.evaluations, found.front.assign(tiers=tier_orders(found.front))
    feasible = every[every["feasible"]]
    positions = _copies(problem, read_designs(problem.genome, front)) / problem.model.workload.positions
    best = select(front, limit=None)
    longest = front["trainings"].max() if "trainings" in front else np.nan
    return {
        "non-dominated, of all designs evaluated": f"{100 * len(front) / len(every):.1f} %",
        "rank correlation of period and power, all designs": (
            f"{feasible['period_ns'].corr(feasible['power_W'], method='spearman'):.2f}"
        ),
        "most copies of a layer over its positions, on the front": number_text(positions.max()),
        "best TOPS/W on the front": f"{best['tiers']} {best['tops_per_W']:.3g}",
        "its period (µs)": number_text(best["period_ns"] / 1e3),
        "its energy (µJ)": number_text(best["energy_pJ"] / 1e6),
        "its area (mm²)": number_text(best["area_mm2"]),
        "its power (W)": number_text(best["power_W"]),
        "its hottest PE (K)": f"{best['peak_K']:.0f}",
        "its lifetime (trainings)": number_text(best.get("trainings", np.nan)),
        "hottest PE on the front (K)": f"{front['peak_K'].max():.0f}",
        "longest lifetime on the front (trainings)": number_text(longest),
    }


def _copies(problem: HuntMapping, designs: Designs) -> FloatArray:
    """Copies of each layer, shape ``(designs, layers)``; fractions in the idealised model."""
    model, tiers, genes = problem.model, designs.indices("tier"), designs.indices("pe")
    if isinstance(model, SystemModel):
        return problem.evaluate_mappings(tiers, genes, designs.indices("pace")).results["copies"]
    occupancy = occupy(model, tiers, genes)
    arrays, time = (table.take(occupancy.entry) for table in (model.costs.arrays, model.costs.time))
    return copies_period(arrays, time, occupancy.tier, occupancy.free)[1]


_PAGE = """\
# HuNT's claims and what the models give

`moopim hunt claims` writes this page: what the paper (Ogbogu et al., IEEE TCAD 2024) states, beside what four models
give, for CIFAR-10. No row is an assertion of this package. A tier order such as RRFS names the devices from the heat
sink outwards.

- **system int8** and **system fp32**: the [system model](hunt.md), the default of `hunt`, with a gradient engine of
  8-bit multipliers, and of 32-bit ones as in the paper's text.
- **idealised physical** and **idealised calibrated**: the [former model](hunt_idealised.md). Its calibrated factors
  were fitted to many of the numbers below: that they come near them is no evidence for the paper.

[](hunt.md#what-it-reaches-of-the-paper) says what follows for the system model.

## Architectures

In the system model, a search places the layers of a baseline on the tiers of its order, with copies and a pace, as
for any design. HyperX keeps the last two thirds of the layers on the SRAM tiers and the others on ReRAM; AccuReD
keeps all layers on its ReRAM tiers and computes gradients on the GPU-like tier farthest from the sink. The design
with the best TOPS/W is selected, and TOPS/mm² is the best of the same search, per area in use.

In the idealised model, baselines are on pools of arrays: a layer may use the arrays of all forward tiers of its
device, its load is even over them, communication is left out. Layers go where energy times period is least; TOPS/mm²
is per area of the stack.

Only the idealised model has a loss of accuracy. It puts two scales on eqs 6-7, which the paper leaves open, so that,
over the five networks, the worst loss is 2.5 % on RRRS and 4 % on FFFS; these two rows hold by calibration. In the
system model the noise is 0 within a rise of 10 K and is no accuracy: its cells show "-", and no limit of 1 % loss
applies there.

"Best network" is the largest of the five, "mean" their mean. The numbers of the paper carry the section that has
them. `moopim hunt baselines` prints the numbers network by network.

{architectures}

## ResNet34

The same architectures on one network; the numbers of the paper are over all networks.

{network}

## Designs of a search

In the searches called "free" any tier that can may serve back-propagation, in those called "farthest" only the tier
farthest from the sink. Of the front, the idealised models select the most efficient design of those that lose at most
1 % of accuracy, as the paper does, the system models the most efficient one.

{searches}

## How selective a search is

`moopim run hunt --workload resnet34 --algorithm {optimiser} --evaluations {count} --seed {seed}` with each model,
without limits. In the idealised model power, energy over time, is an objective, so that a slower design is a better
one, and copies are free, also beyond one for each position. In the system model energy is an objective, and copies are
whole, at most one for each position.

{facts}

## How the numbers were made

Searches are {optimiser} with {evaluations} evaluations, seed {seed}. On another processor, rounding may lead a search
elsewhere.

## Why some claims cannot hold together

RRFS can beat RRRS and FFFS by 1.3 and 1.5 on one network only if its devices differ more in speed, layer by layer,
than array geometry and activation writes make them differ, so the two maxima belong to different networks. A tenfold
lead over SSSS needs most of SSSS's energy to be static. The lead over HyperX comes with a policy that keeps many
layers on SRAM, not with its tiers. Losses of 2.5 % on RRRS and 4 % on FFFS leave more than 1 % for RRFS, since the
noise of its layers on either device is of the same size. The paper also differs from itself: over FFFS it has 2.6 and
3, over heterogeneous rivals up to 3.5 and 2.4 or 4.5 and 3.2, and ReRAM stands 10^8 or 10^12 writes.
"""
