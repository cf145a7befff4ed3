"""What a pipeline found, as tables and pictures in its folder; every number says which step made it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from moopim.analysis.crossnas import network_strip, plot_accuracy_edp, plot_networks
from moopim.analysis.style import save_figure
from moopim.analysis.trends import plot_trends, trends
from moopim.columns import truth_values
from moopim.experiment.frames import front_frame
from moopim.experiment.result import EVALUATIONS
from moopim.experiment.steps import Step
from moopim.files import write_atomically
from moopim.network.subnets import subnet_name
from moopim.problems.crossnas.baselines import comparison
from moopim.problems.crossnas.pipeline import RUN, STEPS, Pipeline, weight_text
from moopim.quantities import Objective

__all__ = ["chosen_frame", "provenance_frame", "write_report"]

_TABLES = {"cifar10": (2, 3), "cifar100": (4,)}  # of the paper, by set of images
_GOALS = (Objective("accuracy", "1", "max"), Objective("edp", "mJ ms"))
# Column of the table, step and number of that step.
_FROM_STEPS = {
    "supernet_accuracy": ("architecture", "accuracy"),
    "float_accuracy": ("final", "test_float"),
    "quantised_accuracy": ("final", "test_quantised"),
    "accuracy": ("final", "test_pim"),
    "accuracy_before_tuning": ("final", "test_pim_before"),
    "energy_mJ": ("circuit", "energy_mJ"),
    "latency_ms": ("circuit", "latency_ms"),
    "edp_mJ_ms": ("circuit", "edp_mJ_ms"),
    "area_mm2": ("circuit", "area_mm2"),
    "power_W": ("circuit", "power_W"),
    "fitness": ("circuit", "fitness"),
    "crossbar": ("circuit", "crossbar"),
    "adc_bits": ("circuit", "adc_bits"),
    "dac_bits": ("circuit", "dac_bits"),
    "weight_bits": ("circuit", "weight_bits"),
    "activation_bits": ("circuit", "activation_bits"),
}
_SEARCHES = ("architecture", "circuit")
_SECONDS_PER_HOUR = 3600
_SHOWN = ("w_acc", "network", "crossbar", "adc_bits", "dac_bits", "accuracy", "energy_mJ", "latency_ms", "edp_mJ_ms")


def chosen_frame(pipeline: Pipeline) -> pd.DataFrame:
    """What was chosen for each weight of the accuracy.

    Args:
        pipeline: The pipeline, all of whose steps have been made.

    Returns:
        A row per weight: ``method``, ``w_acc``, ``network``, the columns of the step that made each number, and
        ``search_h``, the time of all steps that it took (h). ``accuracy`` is that of the tuned network on crossbars, on
        the test images, as ``float_accuracy`` and ``quantised_accuracy``; ``supernet_accuracy`` is that of the search
        for the network, on the validation images.
    """
    rows = []
    for w_acc in pipeline.settings.w_acc:
        steps = _steps(pipeline, w_acc)
        row: dict[str, Any] = {
            "method": f"moopim, w_acc {weight_text(w_acc)}",
            "w_acc": w_acc,
            "network": subnet_name(pipeline.subnet(w_acc)),
        }
        row |= {column: _plain(steps[step].result[name]) for column, (step, name) in _FROM_STEPS.items()}
        row["search_h"] = sum(step.seconds for step in steps.values()) / _SECONDS_PER_HOUR
        rows.append(row)
    return pd.DataFrame(rows)


def provenance_frame(pipeline: Pipeline) -> pd.DataFrame:
    """Which step made each number of the tables.

    Args:
        pipeline: The pipeline, all of whose steps have been made.

    Returns:
        A row per weight and column of `chosen_frame`, and a row per weight and table of trends: ``table``, ``w_acc``,
        ``column``, ``value``, ``step``, ``seed``, ``created``, ``command``. Tables in the form of the paper's have the
        numbers of ``chosen``, and in their own column ``source`` where the others are from.
    """
    rows = []

    def add(table: str, w_acc: float, column: str, value: Any, step: Step, name: str = "") -> None:
        about = {"step": name or step.name, "seed": step.facts["seed"], "created": step.created}
        row = {"table": table, "w_acc": w_acc, "column": column, "value": value, **about, "command": step.command_line}
        rows.append(row)

    for own in chosen_frame(pipeline).to_dict("records"):
        w_acc = own["w_acc"]
        steps = _steps(pipeline, w_acc)
        add("chosen", w_acc, "network", own["network"], steps["architecture"])
        for column, (name, _) in _FROM_STEPS.items():
            add("chosen", w_acc, column, own[column], steps[name])
        add("chosen", w_acc, "search_h", own["search_h"], steps["final"], ", ".join(steps))
        for name in _SEARCHES:
            add(_trends_name(pipeline, name, w_acc), w_acc, "all", "", steps[name])
    return pd.DataFrame(rows)


def write_report(pipeline: Pipeline) -> str:
    """Writes tables and pictures into ``tables/`` and ``figures/`` of the pipeline's folder.

    ``tables/table2.csv`` and so on have the paper's form, with its rows and the baselines, where the images are those
    of the paper. ``trends_*.csv`` compare the front of each search with all that it evaluated (section 4.5).

    Args:
        pipeline: The pipeline, all of whose steps have been made.

    Returns:
        The table, and where the files are, as text.
    """
    folder, chosen = pipeline.settings.output, chosen_frame(pipeline)
    evaluated = {name: _evaluations(pipeline, name) for name in _SEARCHES}
    tables = {"chosen": chosen, "provenance": provenance_frame(pipeline)}
    for number in _TABLES.get(pipeline.data.name, ()):
        tables[f"table{number}"] = comparison(number, chosen)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name, frames in evaluated.items():
        for table, frame in frames.items():
            found = trends(frame, front_frame(frame, _GOALS))
            tables[table] = found
            what = ", ".join([name, *table.split("_")[2:]])  # the network, of circuits
            title = f"{pipeline.data.name}: {what}, the front beside all that was evaluated"
            save_figure(plot_trends(found, title), figures / f"{table}.png")
    _draw_front(pipeline, chosen, pd.concat(evaluated["circuit"].values()), figures / "accuracy_edp.png")
    _draw_networks(pipeline, figures / "networks.png")
    (folder / "tables").mkdir(exist_ok=True)
    for name, frame in tables.items():
        write_atomically(folder / "tables" / f"{name}.csv", frame.to_csv(index=False))
    text = chosen[list(_SHOWN)].to_string(index=False, float_format=lambda value: f"{value:.4g}")
    synthetic = " (synthetic)" if pipeline.data.synthetic else ""
    where = f"written to {folder}: {', '.join(f'tables/{name}.csv' for name in tables)}, and figures/"
    return f"{pipeline.data.name}{synthetic}, accuracy on crossbars on the test images:\n{text}\n{where}"


def _steps(pipeline: Pipeline, w_acc: float) -> dict[str, Step]:
    return {name: pipeline.step(name, w_acc) for name in STEPS}


def _plain(value: Any) -> Any:
    """A list as words."""
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _evaluations(pipeline: Pipeline, name: str) -> dict[str, pd.DataFrame]:
    """Feasible designs of a search by the table of their trends: circuits of one network have the same genes."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for w_acc in pipeline.settings.w_acc:
        frame = pd.read_csv(pipeline.folder(w_acc) / name / RUN / EVALUATIONS)
        frames.setdefault(_trends_name(pipeline, name, w_acc), []).append(frame[truth_values(frame, "feasible")])
    return {table: pd.concat(parts, ignore_index=True) for table, parts in frames.items()}


def _trends_name(pipeline: Pipeline, name: str, w_acc: float) -> str:
    """Name of the table of trends that a search belongs to."""
    return f"trends_{name}" if name == "architecture" else f"trends_{name}_{subnet_name(pipeline.subnet(w_acc))}"


def _draw_front(pipeline: Pipeline, chosen: pd.DataFrame, cloud: pd.DataFrame, path: Path) -> None:
    """Figure 5: accuracy against EDP, with quoted methods where they are of the same images."""
    frame = chosen.assign(quoted=False)
    if pipeline.data.name in _TABLES:
        frame = comparison(_TABLES[pipeline.data.name][0], chosen)
        frame = frame.merge(chosen[["method", "w_acc"]], on="method", how="left")
    title = f"{pipeline.data.name}: points, test images; cloud, validation images"
    save_figure(plot_accuracy_edp(frame, cloud, title), path)


def _draw_networks(pipeline: Pipeline, path: Path) -> None:
    """Figure 6: the chosen networks as strips of blocks."""
    strips: dict[str, pd.DataFrame] = {}
    for w_acc in pipeline.settings.w_acc:
        result: Mapping[str, Any] = pipeline.circuit(w_acc).result
        widths = (result["weight_bits"], result["activation_bits"])
        strips[f"w_acc {weight_text(w_acc)}"] = network_strip(pipeline.subnet(w_acc), *widths, result)
    save_figure(plot_networks(strips, f"{pipeline.data.name}: chosen networks and circuits"), path)
