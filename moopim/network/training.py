"""Training of any network by a recipe, with a log and a checkpoint after epochs.

An epoch is a pass over the training images in an order of its own; images that do not fill a batch are left out of it.
All random numbers of an epoch follow from the seed and its number, so a training that goes on from a checkpoint gives
the weights and the log of one that never stopped: to the bit on a CPU, with the same version of torch and number of
threads.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

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
from moopim.network.tools import check_device
from moopim.progress import Report, progress_bar
from moopim.typing import FloatArray

__all__ = ["Augment", "Evaluate", "Forward", "TrainingLog", "fit"]

Forward: TypeAlias = Callable[[Any, Tensor, np.random.Generator], Tensor]
"""``forward(model, images, rng) -> logits`` of shape ``(batch, classes)``, called at each step of the training."""

Evaluate: TypeAlias = Callable[[Any], Mapping[str, float]]
"""``evaluate(model) -> numbers by name``, called after epochs without gradients; the names are columns of the log."""

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""``augment(images, generator) -> images``, called on each batch."""

_COLUMNS = ("epoch", "step", "learning_rate", "loss", "train_accuracy", "validation_accuracy")
_Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class TrainingLog:
    """What a training has to tell.

    Attributes:
        title: What was trained on; says so where the images are synthetic.
        recipe: The recipe.
        seed: The seed.
        frame: One row per epoch: ``epoch`` and ``step`` (from 1, at its end), ``learning_rate`` (of its last step),
            ``loss`` and ``train_accuracy`` (means over its batches, by the weights of each step), the evaluation
            (NaN after epochs without one), ``seconds`` (it took; s).
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
    """Trains a network in place and leaves it in evaluation mode.

    Parameters that a step does not use (the paths of a supernet that were not sampled) keep their values in that step.

    Args:
        model: The network.
        data: The images.
        recipe: The recipe, or the name of a built-in one.
        forward: How the network is called in training; just called on the images by default.
        evaluate: What to measure every `Recipe.interval` epochs; by default the accuracy on the validation images, and
            nothing where `forward` is given.
        augmentation: What to do to each batch; nothing by default.
        epochs: Length in place of that of the recipe, its schedule stretched or shortened to it.
        seed: Seed of the order of images, of `forward`, of `augmentation` and of dropout.
        checkpoint: File that is written every `Recipe.interval` epochs. Where it is there already, the training goes on
            from it.
        device: Where to train, such as ``cuda``; network and images are moved there.
        channels_last: Whether network and images have the memory format ``torch.channels_last``.
        autocast: Whether operations run in bfloat16 where torch holds it safe.
        progress: Whether to show a progress bar, if standard error is a terminal.

    Returns:
        The log, whole also where the training has gone on from a checkpoint.

    Raises:
        ConfigError: If an argument is not allowed, weights or images hold NaN, the outputs do not fit the classes, or
            the checkpoint is damaged or of another training.
        EvaluationError: If the loss becomes NaN or infinite; the last checkpoint stays as it is.
        KeyboardInterrupt: At Ctrl-C; its message says how to go on.
    """
    recipe = load_recipe(recipe) if isinstance(recipe, str) else recipe
    recipe = recipe if epochs is None else recipe.scaled(epochs)
    path = None if checkpoint is None else Path(checkpoint)
    _check(model, data, seed, device, path)
    options = {"augmentation": _name(augmentation), "channels_last": channels_last, "autocast": autocast}
    settings = {} if path is None else _settings(data, recipe, seed, options)
    layout = torch.channels_last if channels_last else torch.preserve_format
    model.to(device=device, memory_format=layout)  # type: ignore[call-overload]  # torch has more than its stubs
    data = data.to(device)
    trainer = _Trainer(
        model=model,
        data=data,
        recipe=recipe,
        optimiser=_optimiser(recipe, model),
        rates=recipe.learning_rates(_steps_per_epoch(data, recipe)),
        seed=seed,
        forward=forward or _plain,
        evaluate=evaluate or (_nothing if forward else _validation(data)),
        augmentation=augmentation,
        layout=layout,
        autocast=autocast,
    )
    title = f"{data.name} (synthetic)" if data.synthetic else data.name
    rows: list[_Row] = []
    if path is not None and path.exists():
        rows = load_training(path, model, trainer.optimiser, settings)
    with _own_random_numbers(data.train.images.device), _explained(path, rows):
        begun = len(rows) * trainer.steps_per_epoch
        with progress_bar(f"training on {title}", len(trainer.rates), begun, show=progress) as report:
            for epoch in range(len(rows) + 1, trainer.epochs + 1):
                rows.append(trainer.run(epoch, report))
                report(rows[-1]["step"], partial(_progress_text, rows))
                if path is not None and trainer.is_due(epoch):
                    save_training(path, model, trainer.optimiser, settings, rows)
    model.eval()
    return TrainingLog(title, recipe, seed, _frame(rows))


@dataclass(frozen=True)
class _Trainer:
    """A network and all that is needed to train it for an epoch."""

    model: nn.Module
    data: ImageData
    recipe: Recipe
    optimiser: Optimizer
    rates: FloatArray
    seed: int
    forward: Forward
    evaluate: Evaluate
    augmentation: Augment | None
    layout: torch.memory_format
    autocast: bool

    @property
    def epochs(self) -> int:
        return -(-len(self.rates) // self.steps_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        return _steps_per_epoch(self.data, self.recipe)

    def is_due(self, epoch: int) -> bool:
        return epoch % self.recipe.interval == 0 or epoch == self.epochs

    def run(self, epoch: int, report: Report) -> _Row:
        """Trains for an epoch; gives its row of the log."""
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
        """Mean loss and accuracy of the steps of an epoch."""
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
            loss, logits = self._step(x.to(memory_format=self.layout), y, rng, float(rate))
            losses.append(loss)
            hits.append((logits.argmax(1) == y).sum())
            report(first + number + 1)
        # Read once in an epoch: each reading makes a GPU wait.
        return torch.stack(losses).double().mean().item(), torch.stack(hits).sum().item() / (batch * len(rates))

    def _step(self, x: Tensor, y: Tensor, rng: np.random.Generator, rate: float) -> tuple[Tensor, Tensor]:
        """Takes a step of the optimiser; gives the loss and the logits before it."""
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


def _check(model: nn.Module, data: ImageData, seed: int, device: torch.device | str, path: Path | None) -> None:
    """Refuses what would fail only after long work, in many lines, or not at all."""
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
    if path is not None:
        check_writable(path)


def _settings(data: ImageData, recipe: Recipe, seed: int, options: Mapping[str, Any]) -> _Row:
    """What the weights depend on, by name; the network is compared tensor by tensor."""
    content = split_checksum(data.train)
    images = f"{data.name}, {len(data.train.labels)} training images, checksum {content}"
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(recipe).items()}
    return {"data": images, "seed": seed, **options} | {f"recipe.{name}": value for name, value in values.items()}


def _name(augmentation: Augment | None) -> str:
    """An augmentation in words that stay the same in another process."""
    if augmentation is None or is_dataclass(augmentation):
        return repr(augmentation)
    return getattr(augmentation, "__qualname__", type(augmentation).__qualname__)


def _steps_per_epoch(data: ImageData, recipe: Recipe) -> int:
    return max(1, len(data.train.labels) // recipe.batch)


def _optimiser(recipe: Recipe, model: nn.Module) -> Optimizer:
    # One kernel for all parameters ("fused"): less than half the time of torch's default on a CPU.
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    common: _Row = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    match recipe.optimiser:
        case "sgd":
            optimiser = SGD(weights, momentum=recipe.momentum, **common)
            if recipe.momentum:
                # The kernel takes no mixture of weights with and without: a supernet's come into use one by one.
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
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Gives torch's global random numbers, which dropout draws, back as they were."""
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device], device_type=device.type):
        yield


@contextmanager
def _explained(path: Path | None, rows: list[_Row]) -> Iterator[None]:
    """Lets Ctrl-C say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if path is None or not path.exists():
            kept = "nothing is kept" if path is None else f"{str(path)!r} is not written yet"
        else:
            kept = f"the same call goes on from {str(path)!r}"
        raise KeyboardInterrupt(f"training was interrupted in epoch {len(rows) + 1}; {kept}") from None


def _frame(rows: list[_Row]) -> pd.DataFrame:
    measured = [name for row in rows for name in row if name not in _COLUMNS and name != "seconds"]
    return pd.DataFrame(rows, columns=[*_COLUMNS, *dict.fromkeys(measured), "seconds"])
