"""The five steps of CrossNAS's pipeline, each with the facts that its products depend on; needs torch."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from torch import nn

import moopim
from moopim.columns import truth_column
from moopim.errors import EvaluationError
from moopim.experiment.manifest import MANIFEST
from moopim.experiment.result import EVALUATIONS, FRONT, RunResult
from moopim.experiment.running import resume, run
from moopim.experiment.steps import Step
from moopim.files import write_atomically
from moopim.network.accuracy import accuracy
from moopim.network.blocks import make_network
from moopim.network.calibration import calibration_images, recalibrate
from moopim.network.checkpoint import split_checksum
from moopim.network.crossbar import Circuit, CrossbarDesign
from moopim.network.datasets import ImageData, Split, load_data, standard_augmentation
from moopim.network.network_files import load_network, save_network, save_supernet
from moopim.network.quantisation import calibrate, quantise_module, sampling_forward, set_bits
from moopim.network.subnets import Block, Subnet, subnet_name
from moopim.network.supernet import Supernet, single_path_forward
from moopim.network.tools import Forward
from moopim.network.training import fit
from moopim.problem import DesignProblem
from moopim.problems.crossnas.accuracies import pim_accuracies, pim_circuit
from moopim.problems.crossnas.objectives import MEDIAN, fitness, reference_edp
from moopim.problems.crossnas.searches import ArchitectureSearch, QuantisationPimSearch
from moopim.problems.crossnas.settings import POPULATION, SINGLE_OBJECTIVE, Preset, Settings, load_preset
from moopim.problems.crossnas.simulators import AccuracySimulator, PimSimulator, load_simulator, simulator_identity
from moopim.problems.crossnas.space import CIRCUIT, CrossNasSpace, square_size

SUPERNET, FLOAT, MIXED, FINAL = (f"{name}.safetensors" for name in ("supernet", "float", "mixed", "final"))
RUN = "run"
"""Folder of the run of a search, within that of its step."""

_PROFILE = "paper"  # chip of the built-in simulator
_METRICS = ("accuracy", "energy_mJ", "latency_ms", "edp_mJ_ms", "area_mm2", "power_W")


class Setup:
    """Everything that the steps share: settings, preset, images, space, simulator and reference EDP."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.preset: Preset = load_preset(settings.preset)
        self.data_name = settings.data or self.preset.data
        self.data: ImageData = load_data(name=self.data_name, root=settings.root)

    @cached_property
    def space(self) -> CrossNasSpace:
        """Space of networks, with the paper's strides for this number of classes."""
        return CrossNasSpace(
            classes=self.data.classes,
            max_blocks=self.preset.max_blocks,
            channels=self.preset.channels,
            size=square_size(self.data.name, self.data.image_shape),
            image_channels=self.data.image_shape[0],
        )

    @cached_property
    def simulator(self) -> PimSimulator:
        """Simulator of the hardware."""
        return load_simulator(self.settings.simulator, _PROFILE)

    @cached_property
    def reference(self) -> float:
        """EDP_ref of the fitness (mJ ms)."""
        name = str(self.settings.reference or self.preset.reference)
        space = self.space if name == MEDIAN else None
        return reference_edp(name, self.data.classes, self.simulator, space)

    def new_supernet(self) -> Supernet:
        """Supernet before its training."""
        return Supernet(
            self.data.image_shape,
            self.data.classes,
            max_blocks=self.preset.max_blocks,
            channels=self.preset.channels,
            strides=self.space.strides,
            seed=self.settings.seed,
        )

    def calibration_images(self) -> torch.Tensor:
        """Training images for the statistics of batch norms, on the device."""
        return calibration_images(self.data, self.preset.calibration).to(self.settings.device)

    def fit(
        self, net: nn.Module, recipe: str, path: Path, epochs: int | None, log: str, forward: Forward | None = None
    ) -> pd.DataFrame:
        """Train, or continue an interrupted training, and write its log next to the weights; return the log."""
        frame = fit(
            net,
            self.data,
            recipe,
            epochs=epochs,
            forward=forward,
            augmentation=standard_augmentation(self.data) if self.preset.augmentation else None,
            checkpoint=_checkpoint(path),
            channels_last=True,
            seed=self.settings.seed,
            device=self.settings.device,
            progress=self.settings.progress,
        ).frame
        write_atomically(path.with_name(log), frame.to_csv(index=False))
        return frame

    @cached_property
    def training_facts(self) -> dict[str, Any]:
        """Facts that every training depends on."""
        return {
            "data": self.data.name,
            "images": split_checksum(self.data.train, self.data.validation, self.data.test),
            "augmentation": self.preset.augmentation,
            "seed": self.settings.seed,
            **self.versions,
        }

    @cached_property
    def simulator_facts(self) -> dict[str, Any]:
        """Checksums of the simulator."""
        return simulator_identity(self.simulator)

    @property
    def versions(self) -> dict[str, str]:
        """Kind of device, and versions of moopim and torch."""
        device = torch.device(self.settings.device).type
        return {"device": device, "moopim": moopim.__version__, "torch": torch.__version__}

    @property
    def search_options(self) -> dict[str, Any]:
        """Options that both searches share."""
        return {
            "data": self.data_name,
            "root": self.settings.root,
            "calibration": self.preset.calibration,
            "simulator": self.settings.simulator,
            "max": self.settings.max,
            "min": self.settings.min,
            "device": self.settings.device,
            "reference": repr(self.reference),
        }

    def weight_folder(self, w_acc: float) -> Path:
        """Folder of the steps of a weight of the accuracy."""
        return self.settings.output / f"w{weight_text(w_acc)}"


@dataclass(frozen=True)
class TrainedNetwork:
    """Product of a `TrainingStep`: the folder with the weights of a network, and the checksum of its mixed ones."""

    folder: Path
    checksum: str


@dataclass(frozen=True)
class ChosenCircuit:
    """Product of a `CircuitStep`: bits of the weights and outputs of each layer, and the circuit."""

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    crossbar: int
    adc_bits: int
    dac_bits: int

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Self:
        """Chosen design of the record of a step."""
        weight_bits, activation_bits = (tuple(result[name]) for name in ("weight_bits", "activation_bits"))
        return cls(weight_bits, activation_bits, **{name: result[name] for name in CIRCUIT})

    @property
    def circuit(self) -> Circuit:
        """Circuit of every crossbar of the network."""
        return pim_circuit(self.crossbar, self.adc_bits, self.dac_bits)


class PipelineStep(ABC):
    """A step: its folder, the files that it makes, and the facts that these depend on."""

    name: ClassVar[str]
    products: ClassVar[tuple[str, ...]]
    setup: Setup

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Folder of the step."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Facts that the products depend on, in the order of their records."""

    @abstractmethod
    def make(self, directory: Path) -> dict[str, Any]:
        """Make the products, or continue what an interruption left, and return the result of the record."""


@dataclass(frozen=True)
class SupernetStep(PipelineStep):
    """Training of the supernet, a random network per step of the optimiser; once for all weights (section 3.1)."""

    setup: Setup
    name = "supernet"
    products = (SUPERNET, "training.csv")

    @property
    def folder(self) -> Path:
        """Folder ``supernet``."""
        return self.setup.settings.output / self.name

    def facts(self) -> dict[str, Any]:
        """Images, space, recipe and epochs."""
        preset = self.setup.preset
        return self.setup.training_facts | {
            "max_blocks": preset.max_blocks,
            "channels": preset.channels,
            "strides": self.setup.space.strides,
            "recipe": preset.recipes["supernet"],
            "epochs": preset.supernet_epochs,
        }

    def make(self, directory: Path) -> dict[str, Any]:
        """Train; the result has loss and accuracy of the last epoch."""
        supernet, path, recipe = self.setup.new_supernet(), directory / SUPERNET, self.setup.preset.recipes["supernet"]
        epochs = self.setup.preset.supernet_epochs
        frame = self.setup.fit(supernet, recipe, path, epochs, "training.csv", single_path_forward)
        save_supernet(supernet, path, {"recipe": recipe, "data": self.setup.data.name})
        _checkpoint(path).unlink()
        last = frame.iloc[-1]
        return {"loss": float(last["loss"]), "train_accuracy": float(last["train_accuracy"])}


@dataclass(frozen=True)
class SearchStep(PipelineStep):
    """A search; its result is the design of the largest fitness of all that it evaluated."""

    setup: Setup
    w_acc: float
    weights: Path
    checksum: str
    products = tuple(f"{RUN}/{file}" for file in (MANIFEST, EVALUATIONS, FRONT))
    input_name: ClassVar[str]  # of the checksum of the weights among the facts

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Cycles of the search."""

    @abstractmethod
    def problem(self, w_acc: float | None) -> DesignProblem:
        """Problem of the search; with a weight its objective is the fitness."""

    @abstractmethod
    def chosen(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Design of a row of the evaluations."""

    @property
    def folder(self) -> Path:
        """Folder such as ``w0.8/architecture``."""
        return self.setup.weight_folder(self.w_acc) / self.name

    def facts(self) -> dict[str, Any]:
        """Objective, limits, weights, optimiser and simulator."""
        settings = self.setup.settings
        return {
            "w_acc": self.w_acc,
            "reference": self.setup.reference,
            "max": settings.max,
            "min": settings.min,
            self.input_name: self.checksum,
            "algorithm": settings.algorithm,
            "evaluations": POPULATION * self.cycles,
            "seed": settings.seed,
            "calibration": self.setup.preset.calibration,
            **self.setup.versions,
            "simulator": self.setup.simulator_facts,
        }

    def make(self, directory: Path) -> dict[str, Any]:
        """Search; the result has the chosen design and its metrics."""
        settings = self.setup.settings
        result = self._run(directory / RUN)
        frame = result.evaluations[truth_column(result.evaluations, "feasible")]
        if frame.empty:
            limits = f"max {settings.max!r} and min {settings.min!r}"
            raise EvaluationError(f"no {self.name} within {limits} for w_acc={self.w_acc:g}: {result.message}")
        values = fitness(frame["accuracy"].to_numpy(), frame["edp_mJ_ms"].to_numpy(), self.w_acc, self.setup.reference)
        row: dict[str, Any] = frame.iloc[int(np.argmax(values))].to_dict()  # type: ignore[assignment]
        metrics = {name: float(row[name]) for name in _METRICS}
        return {**self.chosen(row), **metrics, "fitness": float(values.max()), "message": result.message}

    def _run(self, directory: Path) -> RunResult:
        settings = self.setup.settings
        problem = self.problem(self.w_acc if settings.algorithm == SINGLE_OBJECTIVE else None)
        if (directory / MANIFEST).exists():
            return resume(directory, jobs=settings.jobs, progress=settings.progress, problem=problem)
        shutil.rmtree(directory, ignore_errors=True)  # left by an interruption before the manifest
        return run(
            problem,
            settings.algorithm,
            evaluations=POPULATION * self.cycles,
            seed=settings.seed,
            jobs=settings.jobs,
            output=directory,
            progress=settings.progress,
        )


@dataclass(frozen=True)
class ArchitectureStep(SearchStep):
    """Search for a network with the weights that it inherits from the supernet (section 3.2)."""

    name = "architecture"
    input_name = "supernet"

    @property
    def cycles(self) -> int:
        """Cycles of the search."""
        return self.setup.preset.cycles

    def problem(self, w_acc: float | None) -> DesignProblem:
        """Search over the supernet."""
        return ArchitectureSearch(str(self.weights), **self.setup.search_options, w_acc=w_acc)

    def chosen(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Blocks of the network."""
        blocks = [
            Block(row[f"block_{i}"], int(row[f"channels_{i}"]), _stride(row, i)) for i in range(int(row["depth"]))
        ]
        return {"blocks": [list(block) for block in self.setup.new_supernet().canonical(tuple(blocks))]}


@dataclass(frozen=True)
class TrainingStep(PipelineStep):
    """Training of a network alone: in floating point, and from there at random widths (section 3.3)."""

    setup: Setup
    subnet: Subnet
    name = "training"
    products = (FLOAT, MIXED, "float.csv", "mixed.csv")

    @property
    def folder(self) -> Path:
        """Folder such as ``networks/VGG32-RES64``."""
        return self.setup.settings.output / "networks" / subnet_name(self.subnet)

    @property
    def _recipes(self) -> dict[str, str]:
        return {name: self.setup.preset.recipes[name] for name in ("float", "quantisation")}

    @property
    def _epochs(self) -> dict[str, int | None]:
        return {"float": self.setup.preset.float_epochs, "quantisation": self.setup.preset.quantisation_epochs}

    def facts(self) -> dict[str, Any]:
        """Images, blocks, recipes and epochs."""
        return self.setup.training_facts | {
            "blocks": self.subnet,
            "recipes": self._recipes,
            "epochs": self._epochs,
            "calibration": self.setup.preset.calibration,
        }

    def make(self, directory: Path) -> dict[str, Any]:
        """Train; the result has validation accuracies in floating point and at 9 bits."""
        data, settings = self.setup.data, self.setup.settings
        spec = (self.subnet, data.image_shape, data.classes)
        path, mixed, recipe = directory / FLOAT, directory / MIXED, self._recipes["quantisation"]
        images = self.setup.calibration_images()
        if not path.exists():
            new = make_network(*spec, seed=settings.seed)
            self.setup.fit(new, self._recipes["float"], path, self._epochs["float"], "float.csv")
            save_network(new, path, *spec, {"recipe": self._recipes["float"], "data": data.name})
        _checkpoint(path).unlink(missing_ok=True)
        net = load_network(path).net.to(settings.device)
        float_accuracy = accuracy(net, data.validation)
        quantised = quantise_module(net, data.image_shape)
        calibrate(quantised, images)
        self.setup.fit(quantised, recipe, mixed, self._epochs["quantisation"], "mixed.csv", sampling_forward())
        set_bits(quantised, 9, 9)
        recalibrate(quantised, images)
        save_network(quantised, mixed, *spec, {"recipe": recipe, "data": data.name})
        _checkpoint(mixed).unlink()
        return {"float_accuracy": float_accuracy, "quantised_accuracy": accuracy(quantised, data.validation)}


@dataclass(frozen=True)
class CircuitStep(SearchStep):
    """Search for the bits of the layers and the PIM circuit (section 3.3)."""

    name = "circuit"
    input_name = "mixed"

    @property
    def cycles(self) -> int:
        """Cycles of the search."""
        return self.setup.preset.circuit_cycles

    def problem(self, w_acc: float | None) -> DesignProblem:
        """Search over the mixed-precision supernet."""
        return QuantisationPimSearch(str(self.weights), **self.setup.search_options, w_acc=w_acc)

    def chosen(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Bits of the layers, and circuit."""
        layers = sum(name.startswith("weight_bits_") for name in row)
        widths = {name: [int(row[f"{name}_{i}"]) for i in range(layers)] for name in ("weight_bits", "activation_bits")}
        return widths | {name: int(row[name]) for name in CIRCUIT}


@dataclass(frozen=True)
class FinalStep(PipelineStep):
    """Tuning at the chosen widths, and evaluation on the test images on the chosen circuit.

    The weights with the higher validation accuracy, before or after the tuning, are kept.
    """

    setup: Setup
    w_acc: float
    network: TrainedNetwork
    design: ChosenCircuit
    name = "final"
    products = (FINAL, "training.csv")

    @property
    def folder(self) -> Path:
        """Folder such as ``w0.8/final``."""
        return self.setup.weight_folder(self.w_acc) / self.name

    def facts(self) -> dict[str, Any]:
        """Images, recipe, epochs, weights, widths and circuit."""
        preset = self.setup.preset
        facts = self.setup.training_facts | {
            "recipe": preset.recipes["quantisation"],
            "epochs": preset.final_epochs,
            "calibration": preset.calibration,
            "mixed": self.network.checksum,
            "weight_bits": self.design.weight_bits,
            "activation_bits": self.design.activation_bits,
            "circuit": asdict(self.design.circuit),
        }
        if isinstance(self.setup.simulator, AccuracySimulator):
            facts["simulator"] = self.setup.simulator_facts
        return facts

    def make(self, directory: Path) -> dict[str, Any]:
        """Tune; the result has validation and test accuracies."""
        data, device, path = self.setup.data, self.setup.settings.device, directory / FINAL
        recipe, mixed = self.setup.preset.recipes["quantisation"], self.network.folder / MIXED
        images = self.setup.calibration_images()
        stored = load_network(mixed)
        design = CrossbarDesign(self.design.weight_bits, self.design.activation_bits, self.design.circuit)
        before, net = load_network(mixed).net.to(device), stored.net.to(device)
        for some in (before, net):
            set_bits(some, design.weights, design.activations)
        self.setup.fit(net, recipe, path, self.setup.preset.final_epochs, "training.csv")
        for some in (before, net):
            recalibrate(some, images)

        def on_circuit(split: Split) -> list[float]:
            there = split.to(device)
            found = (pim_accuracies(self.setup.simulator, some, [design], there, images) for some in (before, net))
            return [float(values[0]) for values in found]

        scores, tests = on_circuit(data.validation), on_circuit(data.test)
        tuned = scores[1] >= scores[0]
        best = net if tuned else before
        spec = (stored.subnet, stored.image_shape, stored.classes)
        save_network(best, path, *spec, {"recipe": recipe, "data": data.name})
        _checkpoint(path).unlink()
        return {
            "validation_before": scores[0],
            "validation_after": scores[1],
            "test_float": accuracy(load_network(self.network.folder / FLOAT).net.to(device), data.test),
            "test_quantised": accuracy(best, data.test),
            "test_pim": tests[tuned],
            "test_pim_before": tests[0],
            "test_images": len(data.test.labels),
        }


def chosen_subnet(record: Step) -> Subnet:
    """Network that an `ArchitectureStep` chose, from its record."""
    return tuple(Block(*block) for block in record.result["blocks"])


def weight_text(w_acc: float) -> str:
    """Name of a weight of the accuracy, such as ``0.8`` or ``1``; different for different weights."""
    return repr(float(w_acc)).removesuffix(".0")


def _stride(row: Mapping[str, Any], i: int) -> int:
    return int(row[f"stride_{i}"]) if row[f"block_{i}"] == "RES" and f"stride_{i}" in row else 1


def _checkpoint(path: Path) -> Path:
    return path.with_suffix(".checkpoint.safetensors")
