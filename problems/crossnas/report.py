"""Report of a pipeline: tables and plots in its folder, and the step that made each number."""

from pathlib import Path
from typing import Any

import pandas as pd

from moopim.analysis.crossnas import network_strip, plot_accuracy_edp, plot_networks
from moopim.analysis.style import save_figure
from moopim.analysis.trends import plot_trends, trends
from moopim.columns import truth_column
from moopim.experiment.frames import front_frame
from moopim.experiment.result import EVALUATIONS
from moopim.experiment.steps import Step
from moopim.files import write_atomically
from moopim.network.subnets import subnet_name
from moopim.problems.crossnas.paper_tables import paper_table
from moopim.problems.crossnas.pipeline import STEPS, Pipeline
from moopim.problems.crossnas.steps import RUN, weight_text
from moopim.quantities import Objective

_TABLES = {"cifar10": (2, 3), "cifar100": (4,)}  # of the paper, by data set
_OBJECTIVES = (Objective("accuracy", "1", "max"), Objective("edp", "mJ ms"))
# Column of ``chosen.csv``: step, and name in the result of its record.
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


def write_report(pipeline: Pipeline) -> str:
    """Write tables and plots into ``tables/`` and ``figures/`` of the pipeline's folder.

    ``tables/table2.csv`` and so on have the form of the paper's, with its rows and the baselines, where the images are
    those of the paper. ``trends_*.csv`` compare the front of each search with all that it evaluated (section 4.5).

    Args:
        pipeline: The pipeline, all of whose steps have been made.

    Returns:
        The table of the chosen designs, and the names of the files, as text.
    """
    output, data, chosen = pipeline.settings.output, pipeline.setup.data, _chosen_frame(pipeline)
    evaluated = {name: _evaluations(pipeline, name) for name in _SEARCHES}
    tables = {"chosen": chosen, "provenance": _provenance_frame(pipeline, chosen)}
    for number in _TABLES.get(data.name, ()):
        tables[f"table{number}"] = paper_table(number, chosen)
    figures = output / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for name, frames in evaluated.items():
        for table, frame in frames.items():
            tables[table] = trends(frame, front_frame(frame, _OBJECTIVES))
            search = ", ".join([name, *table.split("_")[2:]])  # with the network, of circuits
            title = f"{data.name}: {search}, the front beside all that was evaluated"
            save_figure(plot_trends(tables[table], title), figures / f"{table}.png")
    _plot_front(pipeline, chosen, pd.concat(evaluated["circuit"].values()), figures / "accuracy_edp.png")
    _plot_networks(pipeline, figures / "networks.png")
    (output / "tables").mkdir(exist_ok=True)
    for name, frame in tables.items():
        write_atomically(output / "tables" / f"{name}.csv", frame.to_csv(index=False))
    text = chosen[list(_SHOWN)].to_string(index=False, float_format=lambda value: f"{value:.4g}")
    synthetic = " (synthetic)" if data.synthetic else ""
    files = f"written to {output}: {', '.join(f'tables/{name}.csv' for name in tables)}, and figures/"
    return f"{data.name}{synthetic}, accuracy on crossbars on the test images:\n{text}\n{files}"


def _chosen_frame(pipeline: Pipeline) -> pd.DataFrame:
    """Table ``chosen.csv``: a row per weight of the accuracy, from the records of its steps.

    ``accuracy`` is that of the tuned network on crossbars on the test images, as ``float_accuracy`` and
    ``quantised_accuracy``; ``supernet_accuracy`` is that of the search for the network, on the validation images.
    ``search_h`` is the time of all steps of the row (h).
    """
    rows = []
    for w_acc in pipeline.settings.w_acc:
        records = _records(pipeline, w_acc)
        row: dict[str, Any] = {
            "method": f"moopim, w_acc {weight_text(w_acc)}",
            "w_acc": w_acc,
            "network": subnet_name(pipeline.subnet(w_acc)),
        }
        row |= {column: _plain(records[step].result[name]) for column, (step, name) in _FROM_STEPS.items()}
        row["search_h"] = sum(record.seconds for record in records.values()) / _SECONDS_PER_HOUR
        rows.append(row)
    return pd.DataFrame(rows)


def _provenance_frame(pipeline: Pipeline, chosen: pd.DataFrame) -> pd.DataFrame:
    """Table ``provenance.csv``: the step that made each number of ``chosen.csv`` and each table of trends.

    Tables in the form of the paper's have the numbers of ``chosen.csv``, and a column ``source`` for the others.
    """
    rows = []

    def add(table: str, w_acc: float, column: str, value: Any, record: Step, name: str = "") -> None:
        about = {"step": name or record.name, "seed": record.facts["seed"], "created": record.created}
        row = {"table": table, "w_acc": w_acc, "column": column, "value": value, **about}
        rows.append({**row, "command": record.command_line})

    for row in chosen.to_dict("records"):
        w_acc = row["w_acc"]
        records = _records(pipeline, w_acc)
        add("chosen", w_acc, "network", row["network"], records["architecture"])
        for column, (name, _) in _FROM_STEPS.items():
            add("chosen", w_acc, column, row[column], records[name])
        add("chosen", w_acc, "search_h", row["search_h"], records["final"], ", ".join(records))
        for name in _SEARCHES:
            add(_trends_name(pipeline, name, w_acc), w_acc, "all", "", records[name])
    return pd.DataFrame(rows)


def _records(pipeline: Pipeline, w_acc: float) -> dict[str, Step]:
    return {name: pipeline.record(name, w_acc) for name in STEPS}


def _plain(value: Any) -> Any:
    """A list as text separated by spaces; other values unchanged."""
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _evaluations(pipeline: Pipeline, name: str) -> dict[str, pd.DataFrame]:
    """Feasible designs of a search by their table of trends: circuits of one network have the same genes."""
    frames: dict[str, list[pd.DataFrame]] = {}
    for w_acc in pipeline.settings.w_acc:
        frame = pd.read_csv(pipeline.folder(w_acc) / name / RUN / EVALUATIONS)
        frames.setdefault(_trends_name(pipeline, name, w_acc), []).append(frame[truth_column(frame, "feasible")])
    return {table: pd.concat(parts, ignore_index=True) for table, parts in frames.items()}


def _trends_name(pipeline: Pipeline, name: str, w_acc: float) -> str:
    """Name of the table of trends that a search belongs to."""
    return f"trends_{name}" if name == "architecture" else f"trends_{name}_{subnet_name(pipeline.subnet(w_acc))}"


def _plot_front(pipeline: Pipeline, chosen: pd.DataFrame, cloud: pd.DataFrame, path: Path) -> None:
    """Figure 5: accuracy against EDP, with quoted methods where they are for the same images."""
    data = pipeline.setup.data.name
    frame = chosen.assign(quoted=False)
    if data in _TABLES:
        frame = paper_table(_TABLES[data][0], chosen).merge(chosen[["method", "w_acc"]], on="method", how="left")
    title = f"{data}: points, test images; cloud, validation images"
    save_figure(plot_accuracy_edp(frame, cloud, title), path)


def _plot_networks(pipeline: Pipeline, path: Path) -> None:
    """Figure 6: the chosen networks as strips of blocks."""
    strips: dict[str, pd.DataFrame] = {}
    for w_acc in pipeline.settings.w_acc:
        design = pipeline.circuit(w_acc)
        circuit = {"crossbar": design.crossbar, "adc_bits": design.adc_bits, "dac_bits": design.dac_bits}
        strip = network_strip(pipeline.subnet(w_acc), design.weight_bits, design.activation_bits, circuit)
        strips[f"w_acc {weight_text(w_acc)}"] = strip
    save_figure(plot_networks(strips, f"{pipeline.setup.data.name}: chosen networks and circuits"), path)
