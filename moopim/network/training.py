"""Training of a network by a recipe, with a log and a checkpoint after epochs.

An epoch is a pass over the training images in a random order; images that do not fill a batch are left out of it. All
random numbers of an epoch follow from the seed and its number, so a training resumed from a checkpoint gives the
weights and the log of an uninterrupted one: bit-identical on a CPU, with the same version of torch and number of
threads.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own short name)
from torch.optim import SGD, Adam, AdamW, Optimizer

from moopim.errors import ConfigError, EvaluationError
from moopim.files import check_writable
from moopim.network.accuracy import accuracy
from moopim.network.checkpoint import load_training, save_training, split_checksum
from moopim.network.datasets import ImageData
from moopim.network.recipes import Recipe, load_recipe
from moopim.network.tools import Forward, check_device
from moopim.progress import Report, progress_bar
from moopim.typing import FloatArray

Evaluate: TypeAlias = Callable[[Any], Mapping[str, float]]
"""``evaluate(model) -> metrics by name``, called after epochs without gradients; the names are columns of the log."""

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""``augment(images, generator) -> images``, called on each batch."""

_COLUMNS = ("epoch", "step", "learning_rate", "loss", "train_accuracy", "validation_accuracy")
_Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class TrainingLog:
    """Per-epoch training history.

    Attributes:
        title: Name of the training data, marked where the images are synthetic.
        recipe: Recipe.
        seed: Seed.
        frame: One row per epoch: ``epoch`` and ``step`` (from 1, at its end), ``learning_rate`` (of its last step),
            ``loss`` and ``train_accuracy`` (means over its batches, with the weights of each step), the metrics of the
            evaluation (NaN after epochs without one), and ``seconds`` (duration; s).
    """

    title: str
    recipe: Recipe
    seed: int
    frame: pd.DataFrame


def fit(
    model: nn.Module,
    data: ImageData,
    recipe: Recipe | str,
    *,
    forward: Forward | None = None,
    evaluate: Evaluate | None = None,
    augmentation: Augment | None = None,
    epochs: int | None = None,
    seed: int = 1,
    checkpoint: Path | str | None = None,
    device: torch.device | str = "cpu",
    channels_last: bool = False,
    autocast: bool = False,
    progress: bool = True,
) -> TrainingLog:
    """Train a network in place and leave it in evaluation mode.

    Args:
        model: Network. Parameters without a gradient in a step, as unsampled paths of a supernet, keep their values.
        data: Images.
        recipe: Recipe, or the name of a built-in one.
        forward: Training step ``forward(model, images, rng) -> logits``, `single_path_forward` for a supernet; by
            default the network is called.
        evaluate: ``evaluate(model) -> metrics by name``, called every `Recipe.interval` epochs; by default the
            validation accuracy, and nothing if `forward` is given.
        augmentation: ``augmentation(images, generator) -> images`` of each batch, such as `Augmentation`.
        epochs: Length in place of that of the recipe, whose schedule is scaled to it.
        seed: Seed of the order of images, of `forward`, of `augmentation` and of dropout.
        checkpoint: File, written every `Recipe.interval` epochs; if it exists, the training is resumed from it.
        device: Torch device, to which network and images are moved.
        channels_last: Whether network and images have the memory format ``torch.channels_last``.
        autocast: Whether operations run in bfloat16 where torch holds it safe.
        progress: Whether to show a progress bar, if standard error is a terminal.

    Returns:
        The history of all epochs, those before the checkpoint included.

    Raises:
        ConfigError: If an argument is not allowed, weights or images hold NaN, the outputs do not fit the classes, or
            the checkpoint is damaged or of another training.
        EvaluationError: If the loss becomes NaN or infinite; the last checkpoint is kept.
        KeyboardInterrupt: At Ctrl-C; its message says how to resume.
    """
    recipe = load_recipe(recipe) if isinstance(recipe, str) else recipe
    recipe = recipe if epochs is None else recipe.scaled(epochs)
    _check(model, data, seed, device, checkpoint)
    options = {"augmentation": _name(augmentation), "channels_last": channels_last, "autocast": autocast}
    file = None if checkpoint is None else _Checkpoint(Path(checkpoint), _settings(data, recipe, seed, options))
    model.to(device=device, memory_format=_layout(channels_last))  # type: ignore[call-overload]  # torch's stubs lack it
    data = data.to(device)
    evaluate = evaluate or (_nothing if forward else _validation(data))
    trainer = _Trainer(model, data, recipe, seed, forward or _plain, evaluate, augmentation, channels_last, autocast)
    rows = trainer.train(file, progress)
    model.eval()
    return TrainingLog(trainer.title, recipe, seed, _frame(rows))


class _Checkpoint(NamedTuple):
    """Checkpoint file and the settings that a resumed training must share."""

    path: Path
    settings: _Row


@dataclass(frozen=True)
class _Trainer:
    """Training of a network on a device."""

    model: nn.Module
    data: ImageData
    recipe: Recipe
    seed: int
    forward: Forward
    evaluate: Evaluate
    augmentation: Augment | None
    channels_last: bool
    autocast: bool

    @property
    def title(self) -> str:
        return f"{self.data.name} (synthetic)" if self.data.synthetic else self.data.name

    @cached_property
    def optimiser(self) -> Optimizer:
        return _optimiser(self.recipe, self.model)

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.data.train.labels) // self.recipe.batch)

    @cached_property
    def rates(self) -> FloatArray:
        """Learning rate at each step, shape ``(steps,)``."""
        return self.recipe.learning_rates(self.steps_per_epoch)

    @property
    def epochs(self) -> int:
        return -(-len(self.rates) // self.steps_per_epoch)

    def train(self, checkpoint: _Checkpoint | None, progress: bool) -> list[_Row]:
        """Train all epochs that are not in the checkpoint; return the rows of the history."""
        rows: list[_Row] = []
        if checkpoint is not None and checkpoint.path.exists():
            rows = load_training(checkpoint.path, self.model, self.optimiser, checkpoint.settings)
        begun = len(rows) * self.steps_per_epoch
        with (
            _restored_rng(self.data.train.images.device),
            _explained_interrupt(checkpoint, rows),
            progress_bar(f"training on {self.title}", len(self.rates), begun, show=progress) as report,
        ):
            for epoch in range(len(rows) + 1, self.epochs + 1):
                rows.append(self.run(epoch, report))
                report(rows[-1]["step"], partial(_progress_text, rows))
                if checkpoint is not None and self.is_due(epoch):
                    save_training(checkpoint.path, self.model, self.optimiser, checkpoint.settings, rows)
        return rows

    def is_due(self, epoch: int) -> bool:
        return epoch % self.recipe.interval == 0 or epoch == self.epochs

    def run(self, epoch: int, report: Report) -> _Row:
        """Train an epoch; return its row of the history."""
        begun = time.perf_counter()
        first = (epoch - 1) * self.steps_per_epoch
        rates = self.rates[first : first + self.steps_per_epoch]
        loss, train_accuracy = self._steps(epoch, first, rates, report)
        step = first + len(rates)
        if not np.isfinite(loss):
            raise EvaluationError(
                f"loss is {loss} in epoch {epoch} (steps {first + 1} to {step}, learning rate {rates[-1]:.3g}); "
                f"expected finite numbers: a lower learning_rate may help"
            )
        row: _Row = dict(zip(_COLUMNS, (epoch, step, float(rates[-1]), loss, train_accuracy), strict=False))
        if self.is_due(epoch):
            with torch.no_grad():
                row |= {name: float(value) for name, value in self.evaluate(self.model).items()}
        row["seconds"] = time.perf_counter() - begun
        return row

    def _steps(self, epoch: int, first: int, rates: FloatArray, report: Report) -> tuple[float, float]:
        """Mean loss and accuracy over the steps of an epoch."""
        for_order, for_forward, for_torch = np.random.SeedSequence(self.seed, spawn_key=(epoch,)).spawn(3)
        generator = torch.Generator().manual_seed(_integer(for_order))
        rng = np.random.default_rng(for_forward)
        torch.manual_seed(_integer(for_torch))
        images, labels = self.data.train.images, self.data.train.labels
        batch = min(self.recipe.batch, len(labels))
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        self.model.train()
        losses, hits = [], []
        for number, rate in enumerate(rates):
            index = order[number * batch : (number + 1) * batch]
            x, y = images[index], labels[index]
            if self.augmentation is not None:
                x = self.augmentation(x, generator)
            loss, logits = self._step(x.to(memory_format=_layout(self.channels_last)), y, rng, float(rate))
            losses.append(loss)
            hits.append((logits.argmax(1) == y).sum())
            report(first + number + 1)
        # Read once in an epoch: each read synchronises a GPU.
        return torch.stack(losses).double().mean().item(), torch.stack(hits).sum().item() / (batch * len(rates))

    def _step(self, x: Tensor, y: Tensor, rng: np.random.Generator, rate: float) -> tuple[Tensor, Tensor]:
        """Take a step of the optimiser; return the loss and the logits ``(batch, classes)`` before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.autocast):
            try:
                logits = self.forward(self.model, x, rng)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):  # of torch's batch normalisation
                    raise
                raise ConfigError(
                    f"batch={len(y)} of {self.data.name!r} leaves batch normalisation a single value per channel; "
                    f"expected batches of 2 or more images, or larger ones"
                ) from None
            if logits.shape != (len(y), self.data.classes):
                raise ConfigError(
                    f"outputs of the network have shape {tuple(logits.shape)}; expected {(len(y), self.data.classes)} "
                    f"for a batch of {self.data.name!r} with {self.data.classes} classes"
                )
            loss = F.cross_entropy(logits, y, label_smoothing=self.recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.detach(), logits.detach()


def _progress_text(rows: Sequence[_Row]) -> str:
    """Latest numbers, such as ``epoch 3, loss 0.412, train accuracy 0.874, validation accuracy 0.850``."""
    latest = {name: value for row in rows for name, value in row.items() if not np.isnan(value)}
    shown = [name for name in latest if name not in ("step", "learning_rate", "seconds")]
    return ", ".join(f"{name.replace('_', ' ')} {latest[name]:.3g}" for name in shown)


def _check(
    model: nn.Module, data: ImageData, seed: int, device: torch.device | str, checkpoint: Path | str | None
) -> None:
    """Raise ConfigError for arguments that would fail only after long work, obscurely, or not at all."""
    check_device(device)
    if seed < 0:
        raise ConfigError(f"seed={seed} is not allowed; expected 0, 1, ...")
    if not len(data.train.labels):
        raise ConfigError(f"data {data.name!r} have no training images; expected 1, 2, ...")
    if not data.train.images.isfinite().all():
        raise ConfigError(f"training images of {data.name!r} hold NaN or infinite values; expected finite ones")
    for name, weights in chain(model.named_parameters(), model.named_buffers()):
        if not weights.isfinite().all():
            raise ConfigError(f"{name!r} of the network holds NaN or infinite values; expected finite ones")
    if checkpoint is not None:
        check_writable(Path(checkpoint))


def _settings(data: ImageData, recipe: Recipe, seed: int, options: Mapping[str, Any]) -> _Row:
    """Settings that the weights depend on, by name; the network is compared tensor by tensor."""
    content = split_checksum(data.train)
    images = f"{data.name}, {len(data.train.labels)} training images, checksum {content}"
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(recipe).items()}
    return {"data": images, "seed": seed, **options} | {f"recipe.{name}": value for name, value in values.items()}


def _name(augmentation: Augment | None) -> str:
    """Name of an augmentation that is the same in another process."""
    if augmentation is None or is_dataclass(augmentation):
        return repr(augmentation)
    return getattr(augmentation, "__qualname__", type(augmentation).__qualname__)


def _layout(channels_last: bool) -> torch.memory_format:
    return torch.channels_last if channels_last else torch.preserve_format


def _optimiser(recipe: Recipe, model: nn.Module) -> Optimizer:
    # One kernel for all parameters ("fused"): less than half the time of torch's default on a CPU.
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    common: _Row = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    match recipe.optimiser:
        case "sgd":
            optimiser = SGD(weights, momentum=recipe.momentum, **common)
            if recipe.momentum:
                # The kernel needs all weights with a buffer or none: a supernet's come into use one by one.
                for weight in weights:
                    optimiser.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            return optimiser
        case "adam":
            return Adam(weights, **common)
        case "adamw":
            return AdamW(weights, **common)


def _plain(model: Any, images: Tensor, rng: np.random.Generator) -> Any:
    return model(images)


def _nothing(model: Any) -> dict[str, float]:
    return {}


def _validation(data: ImageData) -> Evaluate:
    return lambda model: {"validation_accuracy": accuracy(model, data.validation)}


def _integer(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1, np.uint64)[0])


@contextmanager
def _restored_rng(device: torch.device) -> Iterator[None]:
    """Restore torch's global random state, which dropout draws from, at the end of the context."""
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device], device_type=device.type):
        yield


@contextmanager
def _explained_interrupt(checkpoint: _Checkpoint | None, rows: list[_Row]) -> Iterator[None]:
    """Add to a KeyboardInterrupt what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is None:
            kept = "nothing is kept"
        elif checkpoint.path.exists():
            kept = f"the same call goes on from {str(checkpoint.path)!r}"
        else:
            kept = f"{str(checkpoint.path)!r} is not written yet"
        raise KeyboardInterrupt(f"training was interrupted in epoch {len(rows) + 1}; {kept}") from None


def _frame(rows: list[_Row]) -> pd.DataFrame:
    measured = [name for row in rows for name in row if name not in _COLUMNS and name != "seconds"]
    return pd.DataFrame(rows, columns=[*_COLUMNS, *dict.fromkeys(measured), "seconds"])
