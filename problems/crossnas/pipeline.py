"""CrossNAS from images to a tuned network on its PIM circuit (arXiv 2505.22868, Fig. 3); needs torch.

Five steps, each in a folder with a record of what made it (`moopim.experiment.steps`):

* ``supernet``: the weights of all networks of the space;
* ``w0.8/architecture``: the search for a network, for each weight of the accuracy;
* ``networks/VGG32-RES64``: that network trained alone, and its mixed-precision supernet;
* ``w0.8/circuit``: the search for the bits of its layers and for the PIM circuit;
* ``w0.8/final``: the chosen widths tuned once more, and what they reach on the test images.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

import moopim
from moopim.algorithms.registry import algorithm_names
from moopim.columns import truth_values
from moopim.errors import ConfigError, EvaluationError, unknown_name
from moopim.experiment.manifest import MANIFEST
from moopim.experiment.result import EVALUATIONS, FRONT, RunResult
from moopim.experiment.running import resume, run
from moopim.experiment.steps import STEP, Step, read_step, run_step
from moopim.network.calibration import calibration_images
from moopim.network.checkpoint import split_checksum
from moopim.network.datasets import ImageData, load_data
from moopim.network.subnets import Block, Subnet, subnet_name
from moopim.network.supernet import Supernet
from moopim.network.tools import check_device
from moopim.problem import DesignProblem
from moopim.problems.crossnas.architecture import ArchitectureSearch
from moopim.problems.crossnas.crossbar_accuracy import pim_circuit
from moopim.problems.crossnas.goals import MEDIAN, Goals, make_goals, reference_edp
from moopim.problems.crossnas.presets import POPULATION, Preset, load_preset
from moopim.problems.crossnas.quantisation import QuantisationPimSearch
from moopim.problems.crossnas.simulators import (
    AccuracySimulator,
    PimSimulator,
    hardware_figures,
    load_simulator,
    simulator_identity,
)
from moopim.problems.crossnas.space import CrossNasSpace
from moopim.problems.crossnas.training import train_network, train_supernet, tune_network

__all__ = ["RUN", "STEPS", "Pipeline", "Settings", "weight_text"]

STEPS = ("supernet", "architecture", "training", "circuit", "final")
"""Names of the steps, in their order."""

_SUPERNET, _FLOAT, _MIXED, _FINAL = (f"{name}.safetensors" for name in ("supernet", "float", "mixed", "final"))
RUN = "run"
"""Folder of the run of a search, in that of its step."""

_SINGLE_OBJECTIVE = "topk"  # the paper's search; the others search the front
_PROFILE = "paper"  # chip of the built-in simulator
_TRIED_DESIGNS = 8
_NUMBERS = ("accuracy", "energy_mJ", "latency_ms", "edp_mJ_ms", "area_mm2", "power_W")


@dataclass(frozen=True)
class Settings:
    """What the pipeline is to do.

    Attributes:
        output: Folder for everything.
        preset: Name of a preset.
        data: Set of images; that of the preset if not given.
        root: Folder of the set, if it is read from files.
        w_acc: Weights of the accuracy in the fitness, 0 .. 1.
        algorithm: Optimiser of both searches.
        seed: Seed of everything.
        reference: What counts 1 for the EDP; that of the preset if not given.
        simulator: ``FILE.py:Class`` of another PIM simulator; the planar chip if not given.
        max: Upper bounds of both searches, such as ``area=200``.
        min: Lower bounds.
        device: Where to train and to compute accuracies.
        jobs: Processes of the searches; results do not depend on it.
        progress: Whether to show progress bars, if standard error is a terminal.
    """

    output: Path
    preset: str = "digits"
    data: str | None = None
    root: str | None = None
    w_acc: tuple[float, ...] = (0.8,)
    algorithm: str = _SINGLE_OBJECTIVE
    seed: int = 1
    reference: str | None = None
    simulator: str | None = None
    max: str = ""
    min: str = ""
    device: str = "cpu"
    jobs: int = 1
    progress: bool = True


@dataclass
class Pipeline:
    """The steps of one output folder.

    Everything that can be checked is checked when it is made, before any training.

    Args:
        settings: What it is to do.
        asked: Steps to make; of the others, what is needed must have been made.
        force: Whether to make the asked steps anew.
        say: Gets a line when a step has been made or found.

    Raises:
        ConfigError: If a setting is not allowed.
    """

    settings: Settings
    asked: Sequence[str] = STEPS
    force: bool = False
    say: Callable[[str], None] = print
    preset: Preset = field(init=False)
    data: ImageData = field(init=False)
    _done: dict[Path, Step] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in self.asked:
            if name not in STEPS:
                raise unknown_name("step", name, STEPS)
        _check(self.settings)
        self.preset = load_preset(self.settings.preset)
        self.data = load_data(**self._where)
        calibration_images(self.data, self.preset.calibration)
        self.new_supernet()
        self._try_simulator()
        self.reference  # noqa: B018 (so that it is checked)

    def run(self) -> None:
        """Makes the steps that were asked for.

        Raises:
            ConfigError: If a step was made with other settings, or one that is needed has not been made.
            EvaluationError: If nothing feasible was found.
        """
        self._check_found()
        for w_acc in self.settings.w_acc:
            for name in self._needed:
                self.step(name, w_acc)

    def step(self, name: str, w_acc: float) -> Step:
        """Makes a step, or finds it.

        Args:
            name: One of `STEPS`.
            w_acc: Weight of the accuracy that it is for; the supernet is for all.

        Returns:
            Its record.

        Raises:
            ConfigError: If it was made with other settings, or has not been made and was not asked for.
        """
        made: Step = getattr(self, name)(w_acc)
        return made

    # -- the steps ---------------------------------------------------------------------------------------------------

    def supernet(self, w_acc: float | None = None) -> Step:
        """Trains the supernet, once for all weights."""
        del w_acc
        recipe, epochs = self.preset.recipes["supernet"], self.preset.supernet_epochs
        space = {"max_blocks": self.preset.max_blocks, "channels": self.preset.channels, "strides": self._space.strides}
        facts = self._training_facts | space | {"recipe": recipe, "epochs": epochs}

        def make(directory: Path) -> dict[str, Any]:
            return train_supernet(
                self.new_supernet(), self.data, recipe, directory / _SUPERNET, epochs=epochs, **self._training
            )

        return self._step("supernet", self._place("supernet", 0.0), facts, make, (_SUPERNET, "training.csv"))

    def architecture(self, w_acc: float) -> Step:
        """Searches for a network with the weights that it inherits."""
        weights = self.settings.output / "supernet" / _SUPERNET

        def problem(**goals: Any) -> DesignProblem:
            return ArchitectureSearch(str(weights), **self._search_options, **goals)

        def found(row: Mapping[str, Any]) -> dict[str, Any]:
            places = range(int(row["depth"]))
            blocks = [Block(row[f"block_{i}"], int(row[f"channels_{i}"]), self._stride(row, i)) for i in places]
            return {"blocks": [list(block) for block in self.new_supernet().canonical(tuple(blocks))]}

        inputs = {"supernet": self.supernet().products[_SUPERNET]}
        return self._search("architecture", w_acc, inputs, self.preset.cycles, problem, found)

    def training(self, w_acc: float) -> Step:
        """Trains the chosen network alone, in floating point and then at random widths."""
        subnet = self.subnet(w_acc)
        recipes = {name: self.preset.recipes[name] for name in ("float", "quantisation")}
        epochs = {"float": self.preset.float_epochs, "quantisation": self.preset.quantisation_epochs}
        facts = self._training_facts | {"blocks": subnet, "recipes": recipes, "epochs": epochs}
        facts |= {"calibration": self.preset.calibration}

        def make(directory: Path) -> dict[str, Any]:
            return train_network(
                subnet,
                self.data,
                recipes,
                directory / _FLOAT,
                directory / _MIXED,
                epochs=epochs,
                calibration=self.preset.calibration,
                **self._training,
            )

        products = (_FLOAT, _MIXED, "float.csv", "mixed.csv")
        return self._step("training", self._network_folder(subnet), facts, make, products)

    def circuit(self, w_acc: float) -> Step:
        """Searches for the bits of the layers and the PIM circuit."""
        weights = self._network_folder(self.subnet(w_acc)) / _MIXED

        def problem(**goals: Any) -> DesignProblem:
            return QuantisationPimSearch(str(weights), **self._search_options, **goals)

        def found(row: Mapping[str, Any]) -> dict[str, Any]:
            count = sum(name.startswith("weight_bits_") for name in row)
            widths = {
                name: [int(row[f"{name}_{i}"]) for i in range(count)] for name in ("weight_bits", "activation_bits")
            }
            return widths | {name: int(row[name]) for name in ("crossbar", "adc_bits", "dac_bits")}

        inputs = {"mixed": self.training(w_acc).products[_MIXED]}
        return self._search("circuit", w_acc, inputs, self.preset.circuit_cycles, problem, found)

    def final(self, w_acc: float) -> Step:
        """Tunes the chosen widths once more and evaluates the network on the test images."""
        chosen = self.circuit(w_acc)
        widths = {name: chosen.result[name] for name in ("weight_bits", "activation_bits")}
        circuit = pim_circuit(**{name: chosen.result[name] for name in ("crossbar", "adc_bits", "dac_bits")})
        recipe, epochs = self.preset.recipes["quantisation"], self.preset.final_epochs
        facts = self._training_facts | {"recipe": recipe, "epochs": epochs, "calibration": self.preset.calibration}
        facts |= {"mixed": self.training(w_acc).products[_MIXED], **widths, "circuit": asdict(circuit)}
        if isinstance(self._simulator, AccuracySimulator):
            facts |= {"simulator": self._simulator_facts}
        weights = self._network_folder(self.subnet(w_acc))

        def make(directory: Path) -> dict[str, Any]:
            return tune_network(
                weights / _FLOAT,
                weights / _MIXED,
                self.data,
                recipe,
                directory / _FINAL,
                widths=widths,
                circuit=circuit,
                simulator=self._simulator,
                epochs=epochs,
                calibration=self.preset.calibration,
                **self._training,
            )

        return self._step("final", self.folder(w_acc) / "final", facts, make, (_FINAL, "training.csv"))

    # -- what is checked first ---------------------------------------------------------------------------------------

    def _try_simulator(self) -> None:
        """Whether the simulator gives figures of networks of the space."""
        space = self._space
        designs = space.genome.decode(space.genome.sample(_TRIED_DESIGNS, np.random.default_rng(0)))
        hardware_figures(self._simulator, space.layer_table(designs), space.chip_parameters(designs))

    def _check_found(self) -> None:
        """Refuses steps that are missing or were made with other settings, as far as their inputs are there."""
        for w_acc in self.settings.w_acc:
            whole = True  # whether all steps so far have been made
            for name in self._needed:
                if name == "training" and not whole:
                    continue  # of which network is not known yet
                anew = name in self.asked and (self.force or not self._is_made(self._place(name, w_acc)))
                whole &= not anew
                if whole:
                    self.step(name, w_acc)
                elif name not in self.asked:
                    self._check_made(name, self._place(name, w_acc))

    def _check_made(self, name: str, directory: Path) -> None:
        if not self._is_made(directory):
            raise ConfigError(
                f"step {name!r} has not been made in {str(directory)!r}; expected it before {', '.join(self.asked)}"
            )

    def _is_made(self, directory: Path) -> bool:
        return (directory / STEP).exists() and read_step(directory).state == "finished"

    # -- what they share ---------------------------------------------------------------------------------------------

    @cached_property
    def reference(self) -> float:
        """EDP that counts 1 in the fitness (mJ ms)."""
        name = str(self.settings.reference or self.preset.reference)
        space = self._space if name == MEDIAN else None
        return reference_edp(name, self.data.classes, self._simulator, space)

    def goals(self, w_acc: float) -> Goals:
        """What both searches optimise for a weight of the accuracy."""
        return make_goals("accuracy,edp", w_acc, self.reference, self.settings.max, self.settings.min)

    def subnet(self, w_acc: float) -> Subnet:
        """The network that was chosen for a weight of the accuracy."""
        return tuple(Block(*block) for block in self.architecture(w_acc).result["blocks"])

    def new_supernet(self) -> Supernet:
        """The supernet before its training."""
        return Supernet(
            self.data.image_shape,
            self.data.classes,
            max_blocks=self.preset.max_blocks,
            channels=self.preset.channels,
            strides=self._space.strides,
            seed=self.settings.seed,
        )

    @cached_property
    def _space(self) -> CrossNasSpace:
        """The space of networks; of its strides it has those of the paper for this number of classes."""
        channels, height, width = self.data.image_shape
        if height != width:
            raise ConfigError(f"images of data {self.data.name!r} are {height}x{width}; expected square ones")
        return CrossNasSpace(
            classes=self.data.classes,
            max_blocks=self.preset.max_blocks,
            channels=self.preset.channels,
            size=height,
            image_channels=channels,
        )

    @cached_property
    def _simulator(self) -> PimSimulator:
        return load_simulator(self.settings.simulator, _PROFILE)

    @cached_property
    def _simulator_facts(self) -> dict[str, Any]:
        return simulator_identity(self._simulator)

    @property
    def _training(self) -> dict[str, Any]:
        settings = self.settings
        augmented = self.preset.augmentation
        return {"augmented": augmented, "seed": settings.seed, "device": settings.device, "progress": settings.progress}

    @cached_property
    def _training_facts(self) -> dict[str, Any]:
        return {
            "data": self.data.name,
            "images": split_checksum(self.data.train, self.data.validation, self.data.test),
            "augmentation": self.preset.augmentation,
            "seed": self.settings.seed,
            **self._versions,
        }

    @property
    def _versions(self) -> dict[str, str]:
        device = torch.device(self.settings.device).type
        return {"device": device, "moopim": moopim.__version__, "torch": torch.__version__}

    @property
    def _where(self) -> dict[str, Any]:
        return {"name": self.settings.data or self.preset.data, "root": self.settings.root}

    @property
    def _search_options(self) -> dict[str, Any]:
        where, settings = self._where, self.settings
        return {
            "data": where["name"],
            "root": where["root"],
            "calibration": self.preset.calibration,
            "simulator": settings.simulator,
            "max": settings.max,
            "min": settings.min,
            "device": settings.device,
        }

    @property
    def _needed(self) -> tuple[str, ...]:
        """The steps up to the last that was asked for."""
        return STEPS[: 1 + max(map(STEPS.index, self.asked), default=-1)]

    def folder(self, w_acc: float) -> Path:
        """Folder of what is made for a weight of the accuracy."""
        return self.settings.output / f"w{weight_text(w_acc)}"

    def _place(self, name: str, w_acc: float) -> Path:
        """Folder of a step."""
        if name == "supernet":
            return self.settings.output / name
        return self._network_folder(self.subnet(w_acc)) if name == "training" else self.folder(w_acc) / name

    def _network_folder(self, subnet: Subnet) -> Path:
        return self.settings.output / "networks" / subnet_name(subnet)

    def _stride(self, row: Mapping[str, Any], place: int) -> int:
        return int(row[f"stride_{place}"]) if row[f"block_{place}"] == "RES" and f"stride_{place}" in row else 1

    def _search(
        self,
        name: str,
        w_acc: float,
        inputs: Mapping[str, str],
        cycles: int,
        problem: Callable[..., DesignProblem],
        found: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> Step:
        """A search, and the design of the largest fitness among all that it evaluated."""
        settings, goals = self.settings, self.goals(w_acc)
        evaluations = POPULATION * cycles
        facts: dict[str, Any] = {
            "w_acc": w_acc,
            "reference": self.reference,
            "max": settings.max,
            "min": settings.min,
            **inputs,
        }
        facts |= {"algorithm": settings.algorithm, "evaluations": evaluations, "seed": settings.seed}
        facts |= {"calibration": self.preset.calibration, **self._versions, "simulator": self._simulator_facts}

        def make(directory: Path) -> dict[str, Any]:
            options: dict[str, Any] = {"reference": repr(self.reference)}
            if settings.algorithm == _SINGLE_OBJECTIVE:
                options["w_acc"] = w_acc
            result = self._run(problem(**options), directory / RUN, evaluations)
            frame = result.evaluations[truth_values(result.evaluations, "feasible")]
            if frame.empty:
                bounds = f"max {settings.max!r} and min {settings.min!r}"
                raise EvaluationError(f"no {name} within {bounds} for w_acc={w_acc:g}: {result.message}")
            fitness = goals.fitness(frame["accuracy"].to_numpy(), frame["edp_mJ_ms"].to_numpy())
            row: dict[str, Any] = frame.iloc[int(np.argmax(fitness))].to_dict()  # type: ignore[assignment]
            numbers = {name: float(row[name]) for name in _NUMBERS}
            return {**found(row), **numbers, "fitness": float(fitness.max()), "message": result.message}

        products = tuple(f"{RUN}/{file}" for file in (MANIFEST, EVALUATIONS, FRONT))
        return self._step(name, self.folder(w_acc) / name, facts, make, products)

    def _run(self, problem: DesignProblem, directory: Path, evaluations: int) -> RunResult:
        settings = self.settings
        if (directory / MANIFEST).exists():
            return resume(directory, jobs=settings.jobs, progress=settings.progress, problem=problem)
        shutil.rmtree(directory, ignore_errors=True)  # what was left where it was interrupted before its manifest
        options: dict[str, Any] = {"evaluations": evaluations, "seed": settings.seed, "jobs": settings.jobs}
        return run(problem, settings.algorithm, **options, output=directory, progress=settings.progress)

    def _step(
        self,
        name: str,
        directory: Path,
        facts: Mapping[str, Any],
        make: Callable[[Path], Mapping[str, Any]],
        products: tuple[str, ...],
    ) -> Step:
        """Makes a step that was asked for, once, or finds it."""
        if directory in self._done:
            return self._done[directory]
        if name not in self.asked:
            self._check_made(name, directory)
        force = self.force and name in self.asked
        anew = force or not self._is_made(directory)
        if anew:
            self.say(f"{directory}: {name}")
        step = run_step(directory, name, facts, make, products=products, force=force)
        self.say(f"{directory}: {'made' if anew else 'found'}, {step.seconds:.1f} s")
        self._done[directory] = step
        return step


def weight_text(w_acc: float) -> str:
    """A weight of the accuracy in words, other ones for other weights.

    Args:
        w_acc: The weight.

    Returns:
        Such as ``0.8`` or ``1``.
    """
    return repr(float(w_acc)).removesuffix(".0")


def _check(settings: Settings) -> None:
    """Checks what can be checked without images."""
    if not settings.w_acc:
        raise ConfigError("w_acc is empty; expected at least one number from 0 to 1")
    for place, w_acc in enumerate(settings.w_acc):
        make_goals("accuracy", w_acc, 1.0, settings.max, settings.min)
        if w_acc in settings.w_acc[:place]:
            raise ConfigError(f"w_acc={w_acc:g} is given twice; expected different ones")
    if settings.algorithm not in algorithm_names():
        raise unknown_name("algorithm", settings.algorithm, algorithm_names())
    for name, value, least in (("seed", settings.seed, 0), ("jobs", settings.jobs, 1)):
        if value < least:
            raise ConfigError(f"{name}={value} is not allowed; expected {least}, {least + 1}, ...")
    check_device(settings.device)
    if settings.output.exists() and not settings.output.is_dir():
        raise ConfigError(f"output {str(settings.output)!r} is not a folder")
