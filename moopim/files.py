"""Files and folders: bounded reading, atomic writing, and folders that one process uses at a time."""

import errno
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from moopim.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows: folders cannot be locked there, and are not
    fcntl = None  # type: ignore[assignment]

# Formats by suffix.
_FORMATS = {
    ".onnx": "a model in ONNX format",
    ".pt .pth .ckpt .pkl .pickle": "a pickle of torch or Python",
    ".h5 .hdf5 .keras .pb .tflite": "a model of Keras or TensorFlow",
    ".safetensors": "weights without their network",
    ".npz .npy": "a file of NumPy arrays",
    ".csv": "a table in CSV format",
    ".toml": "a TOML file",
    ".json .yaml .yml": "a file of settings",
    ".ini .cfg .conf": "a configuration file",
    ".ipynb": "a notebook",
}
# Sections of MNSIM's configuration files, such as SimConfig.ini.
_MNSIM = re.compile(rb"^\[(?:Device|Crossbar|Interface|Process element|Tile|Architecture) level\]", re.MULTILINE)
_MOST_CONFIGURATION = 2**20
# Names of open streams of this process, such as its standard output.
_STREAM = re.compile(r"/dev/(?:(?P<name>stdin|stdout|stderr)|fd/(?P<fd>\d+))|/proc/self/fd/(?P<proc>\d+)")
_STANDARD = {"stdin": 0, "stdout": 1, "stderr": 2}
# Content that has not got its name yet.
_PARTIAL = re.compile(r"\.[0-9a-f]+\.partial")

# Names, and entries of lists and objects, of a JSON file.
_NAMES = 100_000
_ENTRIES = 2_000_000
_ZIP_END = 2**17  # byte; at most 65,557 follow the directory of a zip archive
_ZIP_ENTRY = b"PK\1\2"  # how the entry of a member begins in the directory


def read_bounded(path: Path, most: int) -> bytes:
    """Content of a regular file of at most `most` bytes; raises OSError with the reason in ``strerror``.

    Links are followed; pipes and devices, which may never end, are not opened.
    """
    try:
        status = path.stat()
    except ValueError:  # a NUL in the name
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "is a pipe or a device; expected a regular file", str(path))
    with path.open("rb") as file:  # raises for a folder
        content = file.read(most + 1) if status.st_size <= most else b""
    if max(status.st_size, len(content)) > most:
        raise OSError(errno.EFBIG, f"is larger than {most / 2**20:,g} MiB; expected at most that", str(path))
    return content


def read_json(path: Path, most: int) -> Any:
    """Value of a JSON file of at most `most` bytes and a bounded number of entries; raises OSError."""
    content = read_bounded(path, most)
    # Messages of a validator about each of them take more room than they do.
    if content.count(b":") > _NAMES or content.count(b",") > _ENTRIES:
        problem = f"has more than {_NAMES:,} names or {_ENTRIES:,} entries; expected at most that"
        raise OSError(errno.EFBIG, problem, str(path))
    try:
        value = json.loads(content)
        if b"\\ud" in content.lower():  # halves of characters, which cannot be written again
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise OSError(errno.EINVAL, "is nested too deep", str(path)) from None
    except ValueError as error:
        raise OSError(errno.EINVAL, f"is not JSON: {error}", str(path)) from None
    return value


def file_format(path: Path) -> str:
    """Format of a file by its suffix, such as ``a model in ONNX format``; empty for other names.

    Configuration files of MNSIM are known by their sections. The file need not exist.
    """
    suffix = path.suffix.lower()
    words = next((words for ends, words in _FORMATS.items() if suffix and suffix in ends.split()), "")
    if words == _FORMATS[".ini .cfg .conf"]:
        try:
            content = read_bounded(path, _MOST_CONFIGURATION)
        except OSError:
            content = b""
        if path.name == "SimConfig.ini" or _MNSIM.search(content):
            return "a configuration file of MNSIM: give its numbers as options, such as --crossbar 256 for Xbar_Size"
    return words


class ZipSource(io.BufferedReader):
    """File for `zipfile.ZipFile` with bounds on the memory that its directory can make it use.

    `most` is the largest directory, and the largest member that is stored without compression (byte).
    """

    def __init__(self, path: Path, most: int, members: int) -> None:
        super().__init__(path.open("rb", buffering=0))
        self._most = most
        self._members = members

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, or the rest; raises BadZipFile if that is more, or has more members, than allowed."""
        from zipfile import BadZipFile  # slow to load, and every command loads this module

        if size is not None and size > self._most:
            raise BadZipFile(f"its directory or a member has {size} bytes; expected at most {self._most}")
        content = super().read(_ZIP_END if size is None or size < 0 else size)
        if content.count(_ZIP_ENTRY) > self._members:
            raise BadZipFile(f"it has more than {self._members} members")
        return content


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that gets its name when the block ends, so that it is never there by half.

    Until then the content has a name of its own in the same folder; it is removed if the block raises OSError or any
    other exception. Links stay and their target is written. Devices, pipes and what the process has open, such as
    ``/dev/stdout``, are written into.
    """
    stream = own_stream(path)
    if stream is not None:
        with os.fdopen(os.dup(stream), "wb") as file:  # opened anew, it would be written over from its start
            yield file
        return
    old = _mode(path)
    if old is not None and not stat.S_ISREG(old):
        with path.open("wb") as file:  # raises for a folder
            yield file
        return
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    target = path.resolve()
    partial = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:  # gives the permissions of any new file, and fails where there is one
            yield file
        if old is not None:
            partial.chmod(stat.S_IMODE(old))
        partial.replace(target)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        # Name the file that was wanted; a full disk names none.
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file with `open_atomically`."""
    with open_atomically(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file with `open_atomically`; raises ConfigError if it cannot be written."""
    try:
        with open_atomically(path) as file:
            yield file
    except OSError as error:
        raise ConfigError(f"output {str(path)!r} cannot be written: {error.strerror}") from None


def check_files(read: Sequence[Path], written: Sequence[Path], *, force: bool) -> None:
    """Raise ConfigError if an output cannot be written or would overwrite an input, another output or a file.

    `force` allows existing files to be replaced, unless they are inputs. Devices, pipes and what the process has open,
    such as ``/dev/stdout``, may be written.
    """
    for path in written:
        check_writable(path)
    taken = {os.path.realpath(path) for path in read}  # of links in a circle, too
    for path in written:
        if os.path.realpath(path) in taken:
            raise ConfigError(f"file {str(path)!r} is given twice; expected different files")
        taken.add(os.path.realpath(path))
    for path in written:
        if not force and path.is_file() and own_stream(path) is None:
            raise ConfigError(f"output {str(path)!r} exists; expected a new file, or --force to replace it")


def check_writable(path: Path) -> None:
    """Raise ConfigError, before long work, unless a file can be written."""
    problem = "" if own_stream(path) is not None else _obstacle(path)
    if problem:
        raise ConfigError(f"output {str(path)!r} cannot be written: {problem}")


def _obstacle(path: Path) -> str:
    """Reason why a file cannot be written; empty if it can."""
    if path.is_dir():
        return "is a folder"
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:  # such as links in a circle
        return str(error.strerror)
    else:
        if not os.access(path, os.W_OK):
            return "is not writable"
        if not path.is_file():
            return ""  # a device or a pipe, which needs no folder
    folder = path.resolve().parent
    if not folder.is_dir():
        return f"folder {str(path.parent)!r} does not exist"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"folder {str(path.parent)!r} is not writable"


def own_stream(path: Path) -> int | None:
    """Descriptor of an open stream of this process that a path such as ``/dev/stdout`` names; else None."""
    found = _STREAM.fullmatch(str(path))
    if found is None:
        return None
    return _STANDARD[found["name"]] if found["name"] else int(found["fd"] or found["proc"])


def is_vacant(directory: Path) -> bool:
    """Whether a folder is missing or empty but for left-overs of interrupted writing."""
    return not directory.exists() or (
        directory.is_dir() and all(_PARTIAL.fullmatch(path.name) for path in directory.iterdir())
    )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes out of a folder for a block; raises ConfigError if one holds it.

    The lock ends with the process in any case. Nothing is written; a file system without locks gives none.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{str(directory)!r} is in use by another process; expected a folder of its own for each run"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
                raise
        yield
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int | None:
    """Kind and permissions of the file at a path, links followed; None if there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
