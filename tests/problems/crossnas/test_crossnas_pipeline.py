"""The pipeline of CrossNAS: the same command gives the same bits, killed or not, and nothing is paid or made twice."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from crossnas_toys import SIMULATOR, contents, run_and_kill, write_images, write_preset

import moopim.problems.crossnas.steps as trainings
from moopim.errors import ConfigError, EvaluationError
from moopim.experiment.steps import find_steps, read_step
from moopim.network.crossbar import Circuit, CrossbarDesign, crossbar_accuracies
from moopim.network.datasets import load_data
from moopim.network.network_files import load_network
from moopim.problems.crossnas import accuracies
from moopim.problems.crossnas.pipeline import STEPS, Pipeline
from moopim.problems.crossnas.settings import Settings

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
W_ACC = 0.8
GENES = re.compile(r"depth$|block_|channels_|weight_bits_|activation_bits_|crossbar$|adc_bits$|dac_bits$")


def settings_for(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    preset, root = write_preset(folder, *changes.pop("preset", ())), write_images(folder / "digits")
    return replace(Settings(folder / "out", preset=preset, root=root, w_acc=(W_ACC,), progress=False), **changes)


def run(settings, **options):
    """Runs a pipeline; gives it, and what it said."""
    said = []
    pipeline = Pipeline(settings, say=said.append, **options)
    pipeline.run()
    return pipeline, said


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a whole pipeline."""
    folder = tmp_path_factory.mktemp("made")
    run(settings_for(folder))
    return folder / "out"


@pytest.fixture
def copied(made, tmp_path):
    """Settings of the same in a copy of its folder."""
    shutil.copytree(made, tmp_path / "out")
    return settings_for(tmp_path)


@pytest.fixture
def no_training(monkeypatch):
    def fail(*arguments, **options):
        pytest.fail("a training was started")

    monkeypatch.setattr(trainings, "fit", fail)


@pytest.fixture
def no_accuracies(monkeypatch):
    def fail(*arguments, **options):
        pytest.fail("an accuracy was found again")

    monkeypatch.setattr(accuracies, "subnet_accuracies", lambda net, chosen, *rest, **more: fail() if chosen else None)
    monkeypatch.setattr(accuracies, "crossbar_accuracies", fail)


def test_every_step_leaves_its_record_and_its_products(made):
    steps = find_steps(made)
    assert [step.name for step in steps.values()] == list(STEPS)
    assert {step.state for step in steps.values()} == {"finished"}
    assert all(step.seconds > 0 and step.facts["seed"] == 1 for step in steps.values())
    assert not list(made.rglob("*checkpoint*"))
    assert not list(made.rglob("*.partial"))


def test_what_was_chosen_has_the_largest_fitness_of_all_that_was_evaluated(made):
    for name in ("architecture", "circuit"):
        step = read_step(made / "w0.8" / name)
        frame = pd.read_csv(made / "w0.8" / name / "run" / "evaluations.csv")
        fitness = W_ACC * frame.accuracy - (1 - W_ACC) * frame.edp_mJ_ms / step.facts["reference"]
        assert step.result["fitness"] == pytest.approx(fitness[frame.feasible].max(), rel=1e-12)
        best = frame.loc[fitness.where(frame.feasible).idxmax()]
        assert step.result["accuracy"] == best.accuracy
        assert step.result["edp_mJ_ms"] == pytest.approx(best.energy_mJ * best.latency_ms, rel=1e-12)


def test_the_final_network_does_on_its_circuit_what_its_step_says(made):
    chosen, final = (read_step(made / "w0.8" / name).result for name in ("circuit", "final"))
    stored, data = (
        load_network(made / "w0.8" / "final" / "final.safetensors"),
        load_data("folder", made.parent / "digits"),
    )
    circuit = Circuit(chosen["crossbar"], chosen["adc_bits"], chosen["dac_bits"], adc_range="output")
    design = CrossbarDesign(tuple(chosen["weight_bits"]), tuple(chosen["activation_bits"]), circuit)
    assert crossbar_accuracies(stored.net, [design], data.test)[0] == final["test_pim"]
    assert crossbar_accuracies(stored.net, [design], data.validation)[0] == max(
        final["validation_before"], final["validation_after"]
    )
    assert final["test_images"] == len(data.test.labels)


def test_the_same_command_gives_the_same_bits_in_another_folder(made, tmp_path):
    run(settings_for(tmp_path))
    expected, found = contents(made), contents(tmp_path / "out")
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        assert found[name] == content, name


# Which step is killed, behind which call in it, and how many of them.
KILLS = [
    ("supernet", "moopim.network.training:save_training", 1),
    ("architecture", "moopim.experiment.running:write_manifest", 1),
    ("architecture", "moopim.evaluator.log:EvaluationLog.append", 1),
    ("training", "moopim.network.training:save_training", 1),
    ("training", "moopim.problems.crossnas.steps:save_network", 1),
    ("training", "moopim.network.training:save_training", 3),  # of the mixed-precision supernet
    ("circuit", "moopim.evaluator.metric_store:MetricStore._write", 2),  # not yet in the log
    ("circuit", "moopim.experiment.running:write_manifest", 2),  # the run has ended, the step has not
    ("final", "moopim.network.training:save_training", 1),
]


@pytest.mark.parametrize(("step", "what", "count"), KILLS)
def test_a_killed_pipeline_goes_on_to_the_same_bits(made, tmp_path, step, what, count):
    output = tmp_path / "out"
    shutil.copytree(made, output)
    folders = [folder for folder, record in find_steps(made).items() if STEPS.index(record.name) >= STEPS.index(step)]
    for folder in folders:
        shutil.rmtree(output / folder)
    for store, user in (("supernet", "architecture"), ("networks", "circuit")):
        for path in (output / store).rglob("*.accuracies.sqlite"):
            if STEPS.index(step) <= STEPS.index(user):
                path.unlink()
    settings = settings_for(tmp_path)
    options = {"preset": settings.preset, "root": settings.root, "w_acc": [W_ACC], "output": str(output)}
    assert run_and_kill(what, count, **options) == -9
    states = {record.name: record.state for record in find_steps(output).values()}
    assert states == dict.fromkeys(STEPS[: STEPS.index(step)], "finished") | {step: "running"}
    run(settings)
    expected, found = contents(made), contents(output)
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        assert found[name] == content, name


def test_what_was_being_written_when_it_was_killed_is_in_nobodys_way(copied):
    output = copied.output
    before = contents(output)
    for folder in ("w0.8/final", "w0.8/circuit"):
        shutil.rmtree(output / folder)
    (output / "w0.8" / "final").mkdir()
    (output / "w0.8" / "final" / ".00.partial").touch()  # of step.json
    run(copied, asked=("circuit",))
    record = output / "w0.8" / "circuit" / "step.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"state": "running", "products": {}}))
    shutil.rmtree(output / "w0.8" / "circuit" / "run")
    (output / "w0.8" / "circuit" / "run").mkdir()
    (output / "w0.8" / "circuit" / "run" / ".00.partial").touch()  # of manifest.json
    run(copied)
    found = contents(output)
    for folder in ("circuit", "final"):
        name = f"w0.8/{folder}/run/front.csv" if folder == "circuit" else "w0.8/final/final.safetensors"
        assert found[name] == before[name]


def test_a_finished_pipeline_is_found_as_it_is(copied, no_training, no_accuracies):
    before = {path: path.read_bytes() for path in copied.output.rglob("*.*") if path.is_file()}
    pipeline, said = run(copied)
    assert {path: path.read_bytes() for path in copied.output.rglob("*.*") if path.is_file()} == before
    assert len(said) == len(STEPS)
    assert all(": found, " in line for line in said)
    assert pipeline.subnet(W_ACC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, "step 'supernet' in .* other settings: seed is 1 there and 2 here"),
        ({"data": "digits", "root": None}, "data is 'folder:digits' there and 'digits' here; images is "),
        ({"preset": [("max_blocks = 2", "max_blocks = 3")]}, "max_blocks is 2 there and 3 here"),
        ({"preset": [("[4, 6, 8]", "[4, 8]")]}, r"channels is \[4, 6, 8\] there and \[4, 8\] here"),
        ({"preset": [("supernet_epochs = 21", "supernet_epochs = 22")]}, "epochs is 21 there and 22 here"),
        ({"algorithm": "nsga2"}, "step 'architecture' .* algorithm is 'topk' there and 'nsga2' here"),
        ({"max": "area=200"}, "step 'architecture' .* max is '' there and 'area=200' here"),
        ({"reference": "0.5"}, "step 'architecture' .* reference is .* there and 0.5 here"),
        ({"preset": [("circuit_cycles = 2", "circuit_cycles = 3")]}, "evaluations is 100 there and 150 here"),
        ({"preset": [("float_epochs = 11", "float_epochs = 12")]}, "step 'training' .* epochs is "),
        ({"preset": [("final_epochs = 11", "final_epochs = 12")]}, "step 'final' .* epochs is 11 there and 12 here"),
    ],
)  # fmt: skip
def test_steps_of_other_settings_are_refused_before_any_training(copied, no_training, changes, message):
    before = contents(copied.output)
    changed = settings_for(copied.output.parent, **changes)
    changed = replace(changed, w_acc=(0.5, W_ACC)) if "step" in message else changed  # 0.5 comes first, but is not made
    with pytest.raises(ConfigError, match=f"{message}.*expected another output folder, or --force"):
        run(changed)
    assert contents(copied.output) == before


def test_a_simulator_of_ones_own_is_another_setting(copied, no_training, tmp_path):
    (tmp_path / "rulers_b.py").write_text(SIMULATOR)
    with pytest.raises(ConfigError, match=r"step 'architecture'.*simulator is"):
        run(
            replace(copied, simulator=f"{tmp_path}/rulers_b.py:Ruler", reference=repr(Pipeline(copied).setup.reference))
        )


@pytest.mark.parametrize(
    ("asked", "missing", "message"),
    [
        (("circuit",), "supernet", "step 'supernet' has not been made in .*; expected it before circuit"),
        (("circuit",), "networks", "step 'training' has not been made in .*; expected it before circuit"),
        (("final",), "w0.8/circuit", "step 'circuit' has not been made in .*; expected it before final"),
        (("supernet", "circuit"), "", "step 'architecture' has not been made .* before supernet, circuit"),
    ],
)  # fmt: skip
def test_a_step_without_its_inputs_is_refused_before_any_training(copied, no_training, asked, missing, message):
    if missing:
        shutil.rmtree(copied.output / missing)
    else:
        shutil.rmtree(copied.output)
    before = contents(copied.output)
    with pytest.raises(ConfigError, match=message):
        run(copied, asked=asked)
    assert contents(copied.output) == before


@pytest.mark.parametrize("damage", ["change", "remove"])
@pytest.mark.parametrize(
    "file",
    ["supernet/supernet.safetensors", "w0.8/architecture/run/evaluations.csv", "w0.8/final/final.safetensors"],
)
def test_products_that_are_missing_or_have_changed_are_refused(copied, no_training, file, damage):
    path = copied.output / file
    if damage == "change":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    else:
        path.unlink()
    with pytest.raises(ConfigError, match=f"{path.name}' of step .* is missing or has changed"):
        run(copied)


def test_force_makes_the_asked_steps_anew_and_no_others(copied):
    before = {path: path.read_bytes() for path in copied.output.rglob("*.*") if path.is_file()}
    _, said = run(copied, asked=("final",), force=True)
    assert [line.split(": ")[1].split(",")[0] for line in said] == ["found"] * 4 + ["final", "made"]
    after = {path: path.read_bytes() for path in copied.output.rglob("*.*") if path.is_file()}
    changed = {path.relative_to(copied.output).as_posix() for path in after if after[path] != before[path]}
    assert changed <= {"w0.8/final/step.json", "w0.8/final/training.csv"}  # times
    assert "w0.8/final/step.json" in changed


def test_force_does_not_remove_what_is_no_step(tmp_path):
    settings = settings_for(tmp_path)
    (settings.output / "supernet").mkdir(parents=True)
    (settings.output / "supernet" / "mine.txt").write_text("precious")
    with pytest.raises(ConfigError, match=r"has no step\.json"):
        run(settings, force=True)
    assert (settings.output / "supernet" / "mine.txt").read_text() == "precious"


def test_a_second_weight_pays_only_for_what_is_new(copied):
    """Both weights choose from the same few designs, so the second finds nearly all known."""
    pipeline, _ = run(replace(copied, w_acc=(W_ACC, 0.79)))
    assert pipeline.subnet(W_ACC) == pipeline.subnet(0.79)  # so it has the same weights, too
    for name in ("architecture", "circuit"):
        frames = [pd.read_csv(copied.output / place / name / "run" / "evaluations.csv") for place in ("w0.8", "w0.79")]
        columns = [column for column in frames[0] if GENES.match(column)]
        first, second = (set(frame[columns].astype(str).agg(" ".join, axis=1)) for frame in frames)
        known, asked = len(first & second), len(second)
        message = read_step(copied.output / "w0.79" / name).result["message"]
        assert f"{known} of {asked} accuracies were known before" in message
        assert known > 30


def test_another_algorithm_in_another_folder_pays_only_for_what_is_new(made, tmp_path, monkeypatch):
    settings = settings_for(tmp_path, algorithm="nsga2")
    for folder in ("supernet", "networks"):
        shutil.copytree(made / folder, settings.output / folder)
    paid, find = [], accuracies.subnet_accuracies
    monkeypatch.setattr(
        accuracies, "subnet_accuracies", lambda net, chosen, *a, **k: paid.extend(chosen) or find(net, chosen, *a, **k)
    )
    run(settings, asked=("architecture",))
    frames = [pd.read_csv(place / "w0.8/architecture/run/evaluations.csv") for place in (made, settings.output)]
    known, asked = ({networks(row) for _, row in frame.iterrows()} for frame in frames)
    assert len(paid) == len(asked - known)
    message = read_step(settings.output / "w0.8" / "architecture").result["message"]
    assert f"{len(asked & known)} of {len(asked)} accuracies were known before" in message
    assert len(asked & known) > 30


def networks(row):
    """The blocks of a row of evaluations, as one word."""
    return " ".join(f"{row[f'block_{i}']}{row[f'channels_{i}']:g}" for i in range(int(row["depth"])))


def test_the_number_of_processes_does_not_change_a_bit(made, tmp_path):
    settings = settings_for(tmp_path, jobs=2)
    shutil.copytree(made / "supernet", settings.output / "supernet")
    shutil.copytree(made / "networks", settings.output / "networks")
    for store in settings.output.rglob("*.sqlite"):
        store.unlink()
    run(settings)
    expected, found = contents(made), contents(settings.output)
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        assert found[name] == content, name


def test_hard_limits_hold_for_what_is_chosen_and_for_what_is_paid(copied, tmp_path):
    frame = pd.read_csv(copied.output / "w0.8" / "architecture" / "run" / "evaluations.csv")
    bound = float(frame.energy_mJ.median())
    other = settings_for(tmp_path / "bounded", max=f"energy={bound!r}")
    shutil.copytree(copied.output / "supernet", other.output / "supernet")
    run(other, asked=("architecture",))
    found = pd.read_csv(other.output / "w0.8" / "architecture" / "run" / "evaluations.csv")
    assert (found.feasible == (found.energy_mJ <= bound)).all()
    assert found.accuracy.isna().equals(found.energy_mJ > bound)
    assert read_step(other.output / "w0.8" / "architecture").result["energy_mJ"] <= bound


def test_bounds_that_nothing_meets_are_said_in_one_line(made, tmp_path):
    settings = settings_for(tmp_path, max="energy=1e-30")
    shutil.copytree(made / "supernet", settings.output / "supernet")
    message = r"no architecture within max 'energy=1e-30' and min '' for w_acc=0\.8: .*none has energy <= 1e-30 mJ, the"
    for _ in range(2):  # also when it is called again
        with pytest.raises(EvaluationError, match=message):
            run(settings)


def test_weights_that_are_close_have_folders_of_their_own(tmp_path):
    pipeline = Pipeline(settings_for(tmp_path, w_acc=(0.8, 0.80000001, 1.0, 0)))
    folders = [pipeline.folder(w_acc).name for w_acc in pipeline.settings.w_acc]
    assert folders == ["w0.8", "w0.80000001", "w1", "w0"]


@pytest.mark.parametrize("name", ["Ruler", "Oracle"])
def test_another_simulator_takes_the_place_of_the_planar_chip(tmp_path, name):
    source = tmp_path / f"rulers_{name.lower()}.py"
    source.write_text(SIMULATOR)
    settings = settings_for(tmp_path, simulator=f"{source}:{name}", jobs=2, preset=[("cycles = 2", "cycles = 1")])
    pipeline, _ = run(settings)
    chosen = pipeline.record("circuit", W_ACC)
    assert chosen.result["latency_ms"] == 1 / chosen.result["dac_bits"]
    assert chosen.result["power_W"] == pytest.approx(chosen.result["energy_mJ"] / chosen.result["latency_ms"])
    assert np.isnan(chosen.result["area_mm2"])
    final = pipeline.record("final", W_ACC)
    if name == "Oracle":
        assert chosen.result["accuracy"] == chosen.result["adc_bits"] / 16
        assert final.result["test_pim"] == chosen.result["adc_bits"] / 16
        assert set(final.facts["simulator"]) == {"Oracle"}
    for step in (pipeline.record("architecture", W_ACC), chosen):
        assert len(step.facts["simulator"][name]) == 64
    source.write_text(SIMULATOR + "\n# changed\n")
    del sys.modules[source.stem]  # as in another process
    with pytest.raises(ConfigError, match="simulator is"):
        run(settings)
    assert not list(Path(tmp_path / "out").rglob("*checkpoint*"))
