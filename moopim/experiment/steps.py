"""Steps of a pipeline: each in a folder of its own with a record, run once and reused.

An interrupted step is run again and may start from the files that it left. A finished one is reused as long as its
facts are the same; with other facts it is refused, so that nothing is overwritten by mistake.
"""

import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import FailFast, Field, field_validator

from moopim.errors import ConfigError, MoopimError, shown
from moopim.files import is_vacant, write_atomically
from moopim.messages import command_line, table_lines
from moopim.records import Record, differences, read_record

STEP = "step.json"
_BYTES = 2**20
_PRODUCT_BYTES = 2**32
_NAME = 250  # bytes of a product's name; few file systems have room for more than 255


class Step(Record):
    """Record of a step.

    `facts` are the settings, seeds and checksums of inputs that its products depend on; `command` the command that made
    it; `seconds` its wall-clock time without that of interrupted attempts; `result` numbers and text; `products` the
    SHA-256 of its files by name. An interrupted step stays ``running``.
    """

    format: Literal[1] = 1
    name: str
    state: Literal["running", "finished"] = "running"
    facts: dict[str, Any]
    command: Annotated[list[str], FailFast()] = Field(min_length=1)
    created: str
    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    result: dict[str, Any] = Field(default_factory=dict)
    products: dict[str, str] = Field(default_factory=dict)

    @field_validator("products")
    @classmethod
    def _check_products(cls, products: dict[str, str]) -> dict[str, str]:
        for name in products:
            parts = PurePath(name).parts
            if PurePath(name).is_absolute() or ".." in parts or "\0" in name or len(name.encode()) > _NAME:
                raise ValueError(f"product {shown(name)} is not a file within the folder of the step")
        return products

    @property
    def command_line(self) -> str:
        """Command to type again."""
        return command_line(self.command)


def run_step(
    directory: Path,
    name: str,
    facts: Mapping[str, Any],
    make: Callable[[Path], Mapping[str, Any]],
    *,
    products: tuple[str, ...],
    force: bool = False,
) -> Step:
    """Run a step in its folder, or reuse it if it has been made with the same facts.

    `make` writes the files `products` into the folder and returns `Step.result`; after an interruption it is called
    again with the files that it left. With `force` an existing step is removed first. Raises ConfigError if the folder
    has a step of other facts, damaged products or, even by `force`, other files.
    """
    plain: dict[str, Any] = json.loads(json.dumps(dict(facts)))  # as they are read back
    if force:
        _remove(directory)
    step = _known(directory, name, plain)
    if step is not None and step.state == "finished":
        return step
    if step is None:
        directory.mkdir(parents=True, exist_ok=True)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        step = Step(name=name, facts=plain, command=sys.argv, created=created)
        _write(directory, step)
    begun = time.perf_counter()
    try:
        result = dict(make(directory))
    except MoopimError:
        if [path.name for path in directory.iterdir()] == [STEP]:  # nothing was begun
            shutil.rmtree(directory)
        raise
    outcome = {
        "state": "finished",
        "seconds": time.perf_counter() - begun,
        "result": json.loads(json.dumps(result)),
        "products": {file: _hash(directory / file) for file in products},
    }
    step = step.model_copy(update=outcome)
    _write(directory, step)
    return step


def read_step(directory: Path) -> Step:
    """Record of the step in a folder; raises ConfigError if it is missing or not valid."""
    path = directory / STEP
    if not path.exists():
        raise ConfigError(f"{str(directory)!r} has no {STEP}; expected the folder of a step")
    return read_record(path, Step, _BYTES)


def find_steps(directory: Path) -> dict[str, Step]:
    """Records of the steps of a pipeline by their folders within it, in the order in which they were begun."""
    # No deeper than the folders of a pipeline: a folder of anything may hold much, and steps of others.
    paths = [path for depth in ("", "*/", "*/*/") for path in directory.glob(f"{depth}{STEP}")]
    steps = {path.parent.relative_to(directory).as_posix(): read_step(path.parent) for path in paths}
    return dict(sorted(steps.items(), key=lambda item: (item[1].created, item[0])))


def steps_frame(directory: Path) -> pd.DataFrame:
    """Frame of the steps of a pipeline: folder, step, state, seconds, seed, created, products, command."""
    rows = [
        {
            "folder": folder,
            "step": step.name,
            "state": step.state,
            "seconds": step.seconds,
            "seed": step.facts.get("seed"),
            "created": step.created,
            "products": ", ".join(step.products),
            "command": step.command_line,
        }
        for folder, step in find_steps(directory).items()
    ]
    columns = ["folder", "step", "state", "seconds", "seed", "created", "products", "command"]
    return pd.DataFrame(rows, columns=columns)


def steps_text(directory: Path) -> str:
    """Table of the steps of a pipeline and the commands that made them; empty if there are none."""
    steps = find_steps(directory)
    if not steps:
        return ""
    commands: dict[str, Step] = {}  # by the step that was begun first
    for step in steps.values():
        commands.setdefault(step.command_line, step)
    numbers = {command: str(number) for number, command in enumerate(commands, start=1)}
    rows = [("folder", "step", "state", "time", "seed", "command", "products")]
    for folder, step in steps.items():
        seconds, seed = f"{step.seconds:,.1f} s" if step.seconds else "", str(step.facts.get("seed", ""))
        files = dict.fromkeys(re.sub("/.*", "/", file) for file in step.products)  # of folders only their names
        rows.append((folder, step.name, step.state, seconds, seed, numbers[step.command_line], ", ".join(files)))
    lines = table_lines(rows)
    lines += [f"command {numbers[command]}, {step.created}: {command}" for command, step in commands.items()]
    return "\n".join(lines)


def _known(directory: Path, name: str, facts: Mapping[str, Any]) -> Step | None:
    """Step that the folder has; raises ConfigError if it is another one or damaged."""
    if is_vacant(directory):
        return None
    step = read_step(directory)
    if step.name != name:
        raise ConfigError(f"{str(directory)!r} holds step {step.name!r}; expected {name!r}")
    if changes := differences(step.facts, facts):
        raise ConfigError(
            f"step {name!r} in {str(directory)!r} was made with other settings: {changes}; expected another output "
            "folder, or --force to make it anew"
        )
    for file, expected in step.products.items():
        if not (directory / file).is_file() or _hash(directory / file) != expected:
            raise ConfigError(
                f"{str(directory / file)!r} of step {name!r} is missing or has changed; expected it as it was made, or "
                "--force to make the step anew"
            )
    return step


def _remove(directory: Path) -> None:
    """Remove a step, its record last; a folder without one is not touched."""
    if is_vacant(directory):
        return
    if not (directory / STEP).exists():
        read_step(directory)  # raises
    for path in directory.iterdir():
        if path.name != STEP:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (directory / STEP).unlink()


def _hash(path: Path) -> str:
    if path.stat().st_size > _PRODUCT_BYTES:
        raise ConfigError(f"{str(path)!r} has {path.stat().st_size} bytes; expected at most {_PRODUCT_BYTES}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(directory: Path, step: Step) -> None:
    write_atomically(directory / STEP, step.model_dump_json(indent=1) + "\n")
