"""CrossNAS from images to a tuned network on its PIM circuit (arXiv 2505.22868, Fig. 3); needs torch.

Five steps, each in a folder with a record of its settings and inputs (`moopim.experiment.steps`):

* ``supernet``: training of the weights of all networks of the space;
* ``w0.8/architecture``: search for a network, for each weight of the accuracy;
* ``networks/VGG32-RES64``: training of that network alone, and of its mixed-precision supernet;
* ``w0.8/circuit``: search for the bits of its layers and for the PIM circuit;
* ``w0.8/final``: tuning at the chosen widths, and accuracies on the test images.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from moopim.errors import ConfigError, unknown_name
from moopim.experiment.steps import STEP, Step, read_step, run_step
from moopim.network.calibration import calibration_images
from moopim.network.subnets import Subnet
from moopim.problems.crossnas.settings import Settings
from moopim.problems.crossnas.simulators import hardware_metrics
from moopim.problems.crossnas.steps import (
    MIXED,
    SUPERNET,
    ArchitectureStep,
    ChosenCircuit,
    CircuitStep,
    FinalStep,
    PipelineStep,
    Setup,
    SupernetStep,
    TrainedNetwork,
    TrainingStep,
    chosen_subnet,
)

STEPS = ("supernet", "architecture", "training", "circuit", "final")
"""Names of the steps, in their order."""

_TRIED_DESIGNS = 8


class Pipeline:
    """The steps of one output folder, each made once.

    Settings, images and simulator are checked in the constructor, before any training.

    Args:
        settings: Settings.
        asked: Steps to make; the steps that they need must have been made.
        force: Whether to make the asked steps anew.
        say: Called with a line for each step that has been made or found.

    Attributes:
        setup: Preset, images, space, simulator and reference EDP.

    Raises:
        ConfigError: If a step is unknown, or a setting is not allowed.
    """

    def __init__(
        self,
        settings: Settings,
        asked: Sequence[str] = STEPS,
        force: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        for name in asked:
            if name not in STEPS:
                raise unknown_name("step", name, STEPS)
        self.settings = settings
        self.asked = asked
        self.force = force
        self.say = say
        self.setup = Setup(settings)
        self._records: dict[Path, Step] = {}
        calibration_images(self.setup.data, self.setup.preset.calibration)
        self.setup.new_supernet()
        self._try_simulator()
        self.setup.reference  # noqa: B018 (raises on a bad reference)

    def run(self) -> None:
        """Make the asked steps.

        Raises:
            ConfigError: If a step was made with other settings, or a needed one has not been made.
            EvaluationError: If no design is feasible.
        """
        self._check_found()
        for w_acc in self.settings.w_acc:
            for name in self._needed:
                self.record(name, w_acc)

    def record(self, name: str, w_acc: float) -> Step:
        """Record of a step, which is made if it was asked for and has not been made.

        Args:
            name: One of ``supernet``, ``architecture``, ``training``, ``circuit`` and ``final``.
            w_acc: Weight of the accuracy; the supernet is for all.

        Returns:
            The record.

        Raises:
            ConfigError: If the step was made with other settings, or has not been made and was not asked for.
        """
        step = self._step(name, w_acc)
        if step.folder not in self._records:
            self._records[step.folder] = self._make_or_find(step)
        return self._records[step.folder]

    def subnet(self, w_acc: float) -> Subnet:
        """Chosen network of a weight of the accuracy.

        Args:
            w_acc: Weight of the accuracy.

        Returns:
            Kind, channels and stride of each block.
        """
        return chosen_subnet(self.record("architecture", w_acc))

    def circuit(self, w_acc: float) -> ChosenCircuit:
        """Chosen bit widths and circuit of a weight of the accuracy.

        Args:
            w_acc: Weight of the accuracy.

        Returns:
            ``weight_bits`` and ``activation_bits`` of each layer, ``crossbar`` (rows), ``adc_bits`` and ``dac_bits``.
        """
        return ChosenCircuit.from_result(self.record("circuit", w_acc).result)

    def folder(self, w_acc: float) -> Path:
        """Folder of the steps of a weight of the accuracy.

        Args:
            w_acc: Weight of the accuracy.

        Returns:
            The folder, such as ``w0.8`` in the output folder.
        """
        return self.setup.weight_folder(w_acc)

    @property
    def _needed(self) -> tuple[str, ...]:
        """The steps up to the last that was asked for."""
        return STEPS[: 1 + max(map(STEPS.index, self.asked), default=-1)]

    def _step(self, name: str, w_acc: float) -> PipelineStep:
        """A step with its inputs, which are made if need be."""
        if name == "supernet":
            return SupernetStep(self.setup)
        if name == "architecture":
            supernet = self.record("supernet", w_acc)
            weights = SupernetStep(self.setup).folder / SUPERNET
            return ArchitectureStep(self.setup, w_acc, weights, supernet.products[SUPERNET])
        if name == "training":
            return TrainingStep(self.setup, self.subnet(w_acc))
        network = self._network(w_acc)
        if name == "circuit":
            return CircuitStep(self.setup, w_acc, network.folder / MIXED, network.checksum)
        return FinalStep(self.setup, w_acc, network, self.circuit(w_acc))

    def _network(self, w_acc: float) -> TrainedNetwork:
        folder, record = self._step("training", w_acc).folder, self.record("training", w_acc)
        return TrainedNetwork(folder, record.products[MIXED])

    def _make_or_find(self, step: PipelineStep) -> Step:
        if step.name not in self.asked:
            self._check_made(step.name, step.folder)
        force = self.force and step.name in self.asked
        anew = force or not _is_made(step.folder)
        if anew:
            self.say(f"{step.folder}: {step.name}")
        record = run_step(step.folder, step.name, step.facts(), step.make, products=step.products, force=force)
        self.say(f"{step.folder}: {'made' if anew else 'found'}, {record.seconds:.1f} s")
        return record

    def _try_simulator(self) -> None:
        """Raise unless the simulator evaluates networks of the space."""
        space = self.setup.space
        designs = space.genome.decode(space.genome.sample(_TRIED_DESIGNS, np.random.default_rng(0)))
        hardware_metrics(self.setup.simulator, space.layer_table(designs), space.chip_parameters(designs))

    def _check_found(self) -> None:
        """Raise ConfigError for steps that are missing or of other settings, as far as their inputs are there."""
        for w_acc in self.settings.w_acc:
            whole = True  # whether all steps so far have been made
            for name in self._needed:
                if name == "training" and not whole:
                    continue  # its network is not known yet
                folder = self._folder(name, w_acc)
                anew = name in self.asked and (self.force or not _is_made(folder))
                whole &= not anew
                if whole:
                    self.record(name, w_acc)
                elif name not in self.asked:
                    self._check_made(name, folder)

    def _folder(self, name: str, w_acc: float) -> Path:
        """Folder of a step, whose inputs need not have been made."""
        if name in ("supernet", "training"):
            return self._step(name, w_acc).folder
        return self.folder(w_acc) / name

    def _check_made(self, name: str, folder: Path) -> None:
        if not _is_made(folder):
            raise ConfigError(
                f"step {name!r} has not been made in {str(folder)!r}; expected it before {', '.join(self.asked)}"
            )


def _is_made(folder: Path) -> bool:
    return (folder / STEP).exists() and read_step(folder).state == "finished"
