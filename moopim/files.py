"""Writing files so that nothing already there is lost."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_atomically", "write_atomically"]


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes its name when the block ends, so that the old one or the new one is there, never half.

    Until then the content stands under a name of its own in the same folder; it is removed if the block raises. A
    link stays, and what it points to is written. A device or a pipe is written into.

    Args:
        path: The file.

    Yields:
        The file, open for writing.

    Raises:
        OSError: If the file cannot be written.
    """
    old = _mode(path)
    if old is not None and not stat.S_ISREG(old):
        with path.open("wb") as file:  # says so where it is a folder
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
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file as `open_atomically` does.

    Args:
        path: The file.
        text: Its new content.

    Raises:
        OSError: If the file cannot be written.
    """
    with open_atomically(path) as file:
        file.write(text.encode("utf-8"))


def _mode(path: Path) -> int | None:
    """Kind and permissions of what stands at a path, links followed; None where nothing does."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
