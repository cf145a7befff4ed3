"""The report of a pipeline: tables that say where each number is from, and pictures."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from crossnas_toys import write_images, write_preset

from moopim.network.datasets import load_data
from moopim.problems.crossnas import accuracies, report, steps
from moopim.problems.crossnas.paper_tables import baseline_rows, published_rows
from moopim.problems.crossnas.pipeline import STEPS, Pipeline
from moopim.problems.crossnas.settings import Settings

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
QUICK = [("= 21", "= 2"), ("= 11", "= 2"), ("cycles = 2", "cycles = 1")]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A pipeline of two weights, one of which only the EDP matters to."""
    folder = tmp_path_factory.mktemp("report")
    preset, root = write_preset(folder, *QUICK), write_images(folder / "digits")
    found = Settings(folder / "out", preset=preset, root=root, w_acc=(0.99, 0.0), progress=False)
    Pipeline(found, say=lambda text: None).run()
    return found


@pytest.fixture(scope="module")
def reported(settings):
    """The pipeline, the text of its report, and its tables."""
    made = Pipeline(settings, say=lambda text: None)
    text = report.write_report(made)
    return made, text, {path.stem: pd.read_csv(path) for path in (settings.output / "tables").glob("*.csv")}


def test_every_number_of_the_table_has_one_row_that_names_its_step(reported):
    made, _, tables = reported
    chosen, provenance = tables["chosen"], tables["provenance"]
    own = provenance[provenance.table == "chosen"]
    columns = set(chosen.columns) - {"method", "w_acc"}
    for row in chosen.to_dict("records"):
        found = own[own.w_acc == row["w_acc"]]
        assert sorted(found.column) == sorted(columns)
        for entry in found.itertuples():
            assert str(row[entry.column]) == entry.value or float(entry.value) == row[entry.column], entry.column
            names = entry.step.split(", ")
            assert set(names) <= set(STEPS)
            record = made.record(names[-1], row["w_acc"])
            assert (entry.seed, entry.created, entry.command) == (1, record.created, record.command_line)


def test_numbers_are_those_of_the_records_on_the_disk(reported):
    made, _, tables = reported
    for row in tables["chosen"].itertuples():
        folder = made.folder(row.w_acc)
        final, circuit = (json.loads((folder / name / "step.json").read_text()) for name in ("final", "circuit"))
        assert row.accuracy == final["result"]["test_pim"]
        assert row.float_accuracy == final["result"]["test_float"]
        assert row.weight_bits == " ".join(map(str, circuit["result"]["weight_bits"]))
        assert row.edp_mJ_ms == circuit["result"]["edp_mJ_ms"]
        seconds = sum(made.record(name, row.w_acc).seconds for name in STEPS)
        assert row.search_h == pytest.approx(seconds / 3600)


def test_tables_of_trends_name_their_searches(reported):
    _, text, tables = reported
    names = {name for name in tables if name.startswith("trends_")}
    assert "trends_architecture" in names
    assert len(names) == 1 + tables["chosen"].network.nunique()
    provenance = tables["provenance"]
    assert set(provenance.table) == {"chosen", *names}
    assert set(provenance[provenance.table == "trends_architecture"].step) == {"architecture"}
    for name in names:
        assert f"tables/{name}.csv" in text
        assert {"gene", "value", "front_share", "sample_share", "p_value"} <= set(tables[name])


def test_pictures_are_there(reported, settings):
    pictures = {path.name for path in (settings.output / "figures").iterdir()}
    assert {"accuracy_edp.png", "networks.png", "trends_architecture.png"} <= pictures
    assert all((settings.output / "figures" / name).stat().st_size > 5000 for name in pictures)


def test_the_text_has_a_row_per_weight_and_says_what_is_written(reported, settings):
    _, text, _ = reported
    lines = text.splitlines()
    assert lines[0] == "folder:digits, accuracy on crossbars on the test images:"
    assert [line.split()[0] for line in lines[2:4]] == ["0.99", "0"]
    assert lines[-1].startswith(f"written to {settings.output}: tables/chosen.csv, tables/provenance.csv")
    assert max(map(len, lines[:-1])) <= 120


def test_images_of_the_paper_are_put_into_its_tables(settings, tmp_path, monkeypatch):
    fake = replace(load_data("folder", settings.root), name="cifar10", synthetic=True)
    for module in (steps, accuracies):
        monkeypatch.setattr(module, "load_data", lambda name, root=None: fake)
    shutil.copytree(settings.output, tmp_path / "out")
    for path in (tmp_path / "out").rglob("step.json"):
        record = json.loads(path.read_text())
        record["facts"] = {**record["facts"], **({"data": "cifar10"} if "data" in record["facts"] else {})}
        path.write_text(json.dumps(record))
    made = Pipeline(replace(settings, output=tmp_path / "out"), say=lambda text: None)
    text = report.write_report(made)
    assert text.startswith("cifar10 (synthetic), accuracy on crossbars")
    chosen = pd.read_csv(tmp_path / "out" / "tables" / "chosen.csv")
    for number, others in ((2, published_rows(2)), (3, pd.concat([baseline_rows(10), published_rows(3)]))):
        table = pd.read_csv(tmp_path / "out" / "tables" / f"table{number}.csv")
        assert table.method.tolist() == [*chosen.method, *others.method]
        assert table.quoted.tolist() == [False, False, *others.quoted]
        assert table.edp_mJ_ms[:2].tolist() == chosen.edp_mJ_ms.tolist()
        first = table[f"edp_over {chosen.method[0]}"]
        assert first.to_numpy() == pytest.approx((table.edp_mJ_ms / chosen.edp_mJ_ms[0]).to_numpy(), nan_ok=True)
    assert (tmp_path / "out" / "figures" / "accuracy_edp.png").exists()
