"""One mapping in words: tiers, what sets its period, copies by layer, energy, temperature, lifetime, gradients."""

import textwrap
from typing import NamedTuple

import numpy as np

from moopim.genome import Designs
from moopim.hardware.noc.routing import link_ends
from moopim.hardware.stack.idealised import IdealisedModel
from moopim.hardware.stack.model import Metrics, occupy
from moopim.hardware.stack.placement import Occupancy
from moopim.hardware.stack.system import HeatLoad, Pipeline, SystemModel, heat_load, lifetimes, results, run_pipeline
from moopim.messages import WIDTH, plural, table_lines
from moopim.typing import IntArray

_ENERGIES = {
    "read_pJ": "reading",
    "write_pJ": "writing",
    "gradient_pJ": "gradients",
    "noc_pJ": "network",
    "static_pJ": "leakage",
}


Model = SystemModel | IdealisedModel


class TrainedMapping(NamedTuple):
    """Training of one mapping that fits, by the system model; arrays are those of a batch of one.

    Attributes:
        model: Model.
        pipeline: Training pipeline.
        heat: Power and temperature of the PEs.
        results: Results, as those of `moopim.hardware.stack.evaluate_system`, but for its violation; ``gain`` is the
            largest row sum of the growth of the rise with itself where the heat runs away, else 0.
    """

    model: SystemModel
    pipeline: Pipeline
    heat: HeatLoad
    results: Metrics


def train(model: SystemModel, designs: Designs, occupancy: Occupancy) -> TrainedMapping:
    """Training of one mapping that fits, a batch of one."""
    tiers, genes, pace = (designs.indices(name) for name in ("tier", "pe", "pace"))
    pipeline = run_pipeline(model, tiers, genes, occupancy, pace)
    heat = heat_load(model, tiers, pipeline)
    return TrainedMapping(model, pipeline, heat, results(model, tiers, pipeline, heat))


def misfits(model: Model, tiers: IntArray, occupancy: Occupancy) -> list[str]:
    """Why one mapping does not fit, in words: overfull tiers, and the lack of a tier for back-propagation."""
    names = [_device_name(model, device) for device in tiers[0]]
    found = []
    for forward, tier in enumerate(occupancy.forward[0]):
        capacity, free, used = (
            float(values[0, forward]) for values in (occupancy.capacity, occupancy.free, occupancy.used)
        )
        if used > free:
            found.append(
                f"tier {tier + 1} ({names[tier]}) is overfull by {used - free:,.6g} arrays: one copy of its "
                f"{occupancy.layers[0, forward]} layers takes {used + capacity - free:,.6g} of {capacity:,.6g}"
            )
    if not occupancy.has_bp[0]:
        able = [device.letter for device in model.devices if device.serves_back_propagation]
        where = f"tier {len(names)} has none of" if model.farthest_bp else "no tier has one of"
        found.append(f"there is no tier for back-propagation: {where} the devices that can serve it, {', '.join(able)}")
    return found


def runaway(trained: TrainedMapping) -> str:
    """Words for heat that runs away; empty where there is a steady state."""
    gain = float(trained.results["gain"][0])
    return f"the heat runs away: a rise of 1 K makes leakage that adds up to {gain:.3g} K" if gain else ""


def describe_mapping(model: Model, designs: Designs) -> str:
    """One mapping in words, of the system model with what sets its results, in lines of at most 100 columns."""
    tiers = designs.indices("tier")
    occupancy = occupy(model, tiers, designs.indices("pe"))
    workload = model.workload
    title = f"{workload.network}, {workload.dataset}, batch {workload.batch}, on {' '.join(designs['tier'][0])}"
    reasons = misfits(model, tiers, occupancy)
    trained = train(model, designs, occupancy) if isinstance(model, SystemModel) and not reasons else None
    if trained is not None and (words := runaway(trained)):
        reasons, trained = [words], None
    parts = ["\n".join([title, *reasons]), _tiers_text(model, tiers, occupancy, trained)]
    if trained is not None:
        parts += [_period_text(trained), _layers_text(trained), _energy_text(trained)]
        parts.append("\n".join([_heat_text(trained), _lifetime_text(trained), _engine_text(tiers, trained)]))
    return "\n\n".join(parts)


def _tiers_text(model: Model, tiers: IntArray, occupancy: Occupancy, trained: TrainedMapping | None) -> str:
    """Table of the tiers from the sink outwards: device and layers; where it is trained, what is in use of it."""
    forward = {int(tier): place for place, tier in enumerate(occupancy.forward[0])}
    rows, last = [["tier", "device"]], ["layers"]
    if trained is not None:
        rows[0] += ["level", "wanted us", "copies", "arrays", "of", "tiles", "of"]
    for tier, device in enumerate(tiers[0]):
        row, place = [str(tier + 1), _device_name(model, device)], forward.get(tier)
        if trained is not None:
            row += _usage(trained, place)
        rows.append(row)
        if place is None:
            last.append("back-propagation" if occupancy.has_bp[0] else "kept for back-propagation")
        else:
            last.append(_ranges(np.flatnonzero(occupancy.tier[0] == place) + 1) or "none")
    lines = table_lines(rows, 2)
    width = max(map(len, lines)) + 2
    return "\n".join(
        textwrap.fill(text, WIDTH, initial_indent=f"{line:<{width}}", subsequent_indent=" " * width)
        for line, text in zip(lines, last, strict=True)
    )


def _usage(trained: TrainedMapping, place: int | None) -> list[str]:
    """Level, wanted time, copies, arrays and tiles of a forward tier; tiles of the BP tier, which has no place."""
    model, pipeline = trained.model, trained.pipeline
    tiles = f"{model.stack.tiles_per_pe * model.stack.pes_per_tier}"
    if place is None:
        return ["-", "-", "-", "-", "-", tiles, tiles]
    level = pipeline.levels[0, place]
    wanted = model.operation.wanted_ns[level]
    here = pipeline.occupancy.tier[0] == place
    return [
        str(level),
        _us(wanted) if np.isfinite(wanted) else "no limit",
        f"{pipeline.copies[0, here].sum():,.0f}",
        f"{pipeline.line.extent[0, pipeline.line.tier[0] == place].sum():,.0f}",
        f"{pipeline.occupancy.capacity[0, place]:,.0f}",
        f"{pipeline.tiles[0, place]:.0f}",
        tiles,
    ]


def _period_text(trained: TrainedMapping) -> str:
    """Parts of the period, and the stages of which the slowest sets it."""
    model, pipeline, found = trained.model, trained.pipeline, trained.results
    period, slowest, batch = found["period"][0], found["slowest"][0], model.workload.batch
    update = found["update_ns"][0] / batch
    layer = int(pipeline.stage_ns[0].argmax())
    begin, end = link_ends(model.stack.tiers, model.stack.mesh)[pipeline.link_bits[0].argmax()]
    share = f"at {100 * model.operation.link_limit:.3g} % of its rate"
    stages = {
        f"slowest layer, {layer + 1} {model.workload.names[layer]}": found["layer_ns"][0],
        "gradients": found["gradient_ns"][0],
        f"busiest link, {_place(model, begin)} to {_place(model, end)}, {share}": found["link_ns"][0],
    }
    name = max(stages, key=lambda stage: stages[stage]).split(",")[0]
    parts = {
        f"slowest stage: the {name}": slowest,
        f"fill and drain, once in {batch} images": period - slowest - update,
        f"update of the weights, once in {batch} images": update,
    }
    rows = [["period of an image", "us", "%"]]
    rows += [[f"  {part}", _us(time), f"{100 * time / period:.1f}"] for part, time in parts.items()]
    rows += [["stages, side by side", "", ""]]
    rows += [[f"  {stage}", _us(time), f"{100 * time / period:.1f}"] for stage, time in stages.items()]
    rows[0][0] += f": {_us(period)} us"
    return "\n".join(table_lines(rows, 1))


def _layers_text(trained: TrainedMapping) -> str:
    """Table of the layers: tier, device, copies, arrays, and stage with its share of the period."""
    model, pipeline = trained.model, trained.pipeline
    occupancy, workload = pipeline.occupancy, model.workload
    arrays = np.empty(len(workload))
    arrays[pipeline.line.layer[0]] = pipeline.line.extent[0]
    devices = occupancy.forward_device[0].take(occupancy.tier[0])
    rows = [["layer", "", "tier", "device", "copies", "positions", "arrays", "stage us", "% of the period"]]
    for layer, name in enumerate(workload.names):
        stage = pipeline.stage_ns[0, layer]
        rows.append(
            [
                str(layer + 1),
                name,
                str(occupancy.forward[0, occupancy.tier[0, layer]] + 1),
                _device_name(model, devices[layer]),
                f"{pipeline.copies[0, layer]:,.0f}",
                f"{workload.positions[layer]:,}",
                f"{arrays[layer]:,.0f}",
                _us(stage),
                f"{100 * stage / pipeline.period_ns[0]:.1f}",
            ]
        )
    return "\n".join(table_lines(rows, 4))


def _energy_text(trained: TrainedMapping) -> str:
    found = trained.results
    energy = found["energy"][0]
    rows = [[f"energy of an image: {energy / 1e6:,.3f} uJ", "uJ", "%"]]
    for name, part in _ENERGIES.items():
        rows.append([f"  {part}", f"{found[name][0] / 1e6:,.3f}", f"{100 * found[name][0] / energy:.1f}"])
    return "\n".join(table_lines(rows, 1))


def _heat_text(trained: TrainedMapping) -> str:
    model, found = trained.model, trained.results
    pe = int(trained.heat.rise_K[0].argmax())
    rise = found["peak"][0] - model.ambient_K
    return (
        f"power {found['power'][0]:.4g} W; peak {found['peak'][0]:.2f} K, {rise:.2f} K over ambient, at "
        f"{_place(model, pe)}"
    )


def _lifetime_text(trained: TrainedMapping) -> str:
    """Lifetime and what ends it: layers whose cells are the first worn out, or a tier."""
    model, occupancy, images = trained.model, trained.pipeline.occupancy, trained.results["lifetime"][0]
    if not np.isfinite(images):
        return "lifetime without end: no cell is written"
    ends = lifetimes(model, occupancy, trained.pipeline.copies)[0] == images
    places = occupancy.tier[0, ends] if model.wear == "cell" else np.flatnonzero(ends)
    names = sorted({_device_name(model, device) for device in occupancy.forward_device[0, places]})
    what = _numbered("tier", np.unique(occupancy.forward[0, places]) + 1)
    if model.wear == "cell":
        what = f"{_numbered('layer', np.flatnonzero(ends) + 1)} on {what}"
    trainings = trained.results["trainings"][0]
    known = "" if np.isnan(trainings) else f", {trainings:.4g} trainings"
    text = f"lifetime {images:,.0f} images{known}, ended by {what}, {', '.join(names)}"
    return textwrap.fill(text, WIDTH, subsequent_indent="  ")


def _engine_text(tiers: IntArray, trained: TrainedMapping) -> str:
    model, found = trained.model, trained.results
    bp = int(trained.pipeline.occupancy.bp[0])
    rate, store = found["gradient_tmacs"][0], found["gradient_store"][0]
    area = model.stack.pe_area_mm2 * model.stack.pes_per_tier
    engine = "" if np.isnan(store) else f" ({model.precision})"
    text = (
        f"gradients on tier {bp + 1}, {_device_name(model, tiers[0, bp])}{engine}: {rate:.4g} TMAC/s, "
        f"{rate / area:.4g} TMAC/s per mm2 of the tier"
    )
    if np.isnan(store):
        return text
    rest = "; the rest is not modelled" if store > 1 else ""
    return f"{text}\nweight gradients of a batch: {store:.4g} times the memory of the tier{rest}"


def _device_name(model: Model, device: int) -> str:
    found = model.devices[device]
    return f"{found.letter} {found.name}"


def _place(model: SystemModel, pe: int) -> str:
    """Tier, from 1, and number of a PE on it, ``mesh y + x``."""
    tier, number = divmod(int(pe), model.stack.pes_per_tier)
    return f"tier {tier + 1} PE {number}"


def _us(time_ns: float) -> str:
    return f"{time_ns / 1e3:,.2f}"


def _numbered(noun: str, numbers: IntArray) -> str:
    return f"{noun if len(numbers) == 1 else plural(noun)} {_ranges(numbers)}"


def _ranges(numbers: IntArray) -> str:
    """Ascending numbers in words, such as ``1-3 5 8-9``."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if len(numbers) else []
    return " ".join(f"{part[0]}" if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
