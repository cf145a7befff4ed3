"""Files of a data set, read from a folder or an archive.

Archives are never unpacked to disk: only the needed files are read, into memory. Every member is still checked, since
an archive with an unexpected member is not the published one.
"""

import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Protocol, Self, cast

from moopim.errors import ConfigError
from moopim.files import ZipSource, read_bounded

FILE_BYTES = 160 * 2**20
"""Largest file in a folder or a tar archive (byte); the largest published one, of CIFAR-100, has 155 MB."""

TOTAL_BYTES = 2**28
"""Largest total size of the files of a set, or of an unpacked tar archive (byte); CIFAR has 186 MB."""

ZIP_BYTES = 2**30
"""Largest size of an unpacked zip archive (byte); the largest published one has 0.5 GB. Images are read singly."""

_PIECE = 24 * 2**20  # largest member or directory of a zip archive (byte); TinyImageNet's directory has 16 MB
_CHUNK = 2**18  # bytes read at a time
_TAR_MEMBERS = 100  # CIFAR's have fewer than 10
_EXTENSIONS = 200  # extended headers of a tar archive; Python writes one for each member
_EXTENSION_BYTES = 2048  # of an extended header
_ZIP_MEMBERS = 200_000  # TinyImageNet has 120,609
_DEPTH = 16  # nested folders; published archives have 5
_SHOWN = 100  # characters of a name in messages
_REASON = 200  # characters of a reason, which may quote a file
_EXTENDING = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_SPARSE = b"GNU.sparse"  # lists of holes, which may be endless; image sets are never packed so


class Files(Protocol):
    """Files by their path within a folder or an archive, with ``/`` between its parts."""

    def names(self, folder: str) -> list[str]:
        """Sorted names of the visible files and folders directly in a folder; empty if it does not exist."""

    def read(self, name: str, most: int = FILE_BYTES) -> bytes:
        """Content of a file; ConfigError if it is missing, unreadable or larger than `most` (byte)."""

    def where(self, name: str) -> str:
        """Description of a file for messages."""


class FolderFiles:
    """Files of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str) -> list[str]:
        """Sorted names of the visible files and folders directly in a folder; empty if it does not exist."""
        path = self._root / folder
        try:
            return sorted(entry.name for entry in path.iterdir() if entry.name[0] != ".") if path.is_dir() else []
        except OSError as error:
            raise ConfigError(f"folder {str(path)!r} cannot be read: {error.strerror}") from None

    def read(self, name: str, most: int = FILE_BYTES) -> bytes:
        """Content of a file of at most `most` bytes."""
        path = self._root / name
        try:
            if not path.is_file():
                raise ConfigError(f"{self.where(name)} is missing")
            _check_size(self.where(name), path.stat().st_size, most)
            return read_bounded(path, most)
        except OSError as error:
            raise ConfigError(f"{self.where(name)} cannot be read: {error.strerror}") from None

    def where(self, name: str) -> str:
        """Description such as ``file 'data/wnids.txt'``."""
        return f"file {str(self._root / name)!r}"


class ZipFiles:
    """Files of a folder ``top`` (ending in ``/``, or empty) of an open zip archive, checked by `open_zip`."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, top: str) -> None:
        self._archive = archive
        self._path = path
        self._top = top
        self._folders: dict[str, set[str]] = {}
        for name in archive.namelist():
            parts = PurePosixPath(name).parts
            for depth in range(len(parts)):
                self._folders.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    def names(self, folder: str) -> list[str]:
        """Sorted names of the visible files and folders directly in a folder; empty if it does not exist."""
        return sorted(name for name in self._folders.get((self._top + folder).rstrip("/"), ()) if name[0] != ".")

    def read(self, name: str, most: int = FILE_BYTES) -> bytes:
        """Content of a file of at most `most` bytes."""
        try:
            member = self._archive.getinfo(self._top + name)
            _check_size(self.where(name), member.file_size, most)
            with self._archive.open(member) as stream:
                # A read without a size would unpack more than the member declares, without a limit.
                return stream.read(member.file_size + 1)
        except KeyError:
            raise ConfigError(f"{self.where(name)} is missing") from None
        except ConfigError:
            raise
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, zlib.error) as error:
            raise ConfigError(f"{self.where(name)} cannot be read: {short_reason(error)}") from None

    def where(self, name: str) -> str:
        """Description such as ``file 'wnids.txt' of archive 'tiny-imagenet-200.zip'``."""
        return f"file {self._top + name!r} of archive {str(self._path)!r}"


@contextmanager
def open_zip(path: Path, top: str) -> Iterator[ZipFiles]:
    """Open the folder ``top`` of a zip archive; all members are checked before any is read.

    ConfigError if it is not a zip archive or truncated, or a member has an unsafe name, is a link, is encrypted, has an
    unexpected compression or is too large.
    """
    try:
        with ZipSource(path, _PIECE, _ZIP_MEMBERS) as file, zipfile.ZipFile(file) as archive:
            _check_zip(archive, path)
            yield ZipFiles(archive, path, top)
    except ConfigError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise ConfigError(f"archive {str(path)!r} cannot be read: {short_reason(error)}") from None


def _check_zip(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    for member in members:
        what = f"member {member.filename[:_SHOWN]!r} of archive {str(path)!r}"
        _check_name(what, member.filename)
        mode = stat.S_IFMT(member.external_attr >> 16)
        if mode not in {0, stat.S_IFREG, stat.S_IFDIR} or member.flag_bits & 1:
            raise ConfigError(f"{what} is a link, a special file or encrypted; expected plain files")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ConfigError(f"{what} is compressed by method {member.compress_type}; expected 0 or 8 (deflate)")
        _check_size(what, member.file_size, _PIECE)
    _check_total(path, sum(member.file_size for member in members), ZIP_BYTES)


def read_tar(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Contents of files of a gzip-compressed tar archive by path; all its members are checked on the way.

    ConfigError if the archive is damaged, a file is missing, or a member has an unsafe name, is a link or is too large.
    """
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            stream = _Unpacked(file, path)
            # It reads only.
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|", tarinfo=_bounded_headers()) as archive:
                for number, member in enumerate(archive):
                    if number >= _TAR_MEMBERS:
                        raise ConfigError(f"archive {str(path)!r} has more than {_TAR_MEMBERS} members")
                    _check_member(f"member {member.name[:_SHOWN]!r} of archive {str(path)!r}", member)
                    name = str(PurePosixPath(member.name))
                    content = archive.extractfile(member) if name in wanted else None
                    if content is not None:
                        found[name] = content.read()
            while stream.read(_CHUNK):  # up to the checksum at the end
                pass
    except ConfigError:
        raise
    except RecursionError:
        raise ConfigError(f"archive {str(path)!r} cannot be read: it has chains of extended headers") from None
    except (tarfile.TarError, ArithmeticError, EOFError, OSError, ValueError, zlib.error) as error:
        raise ConfigError(f"archive {str(path)!r} cannot be read: {short_reason(error)}") from None
    for name in wanted:
        if name not in found:
            raise ConfigError(f"file {name!r} is missing in archive {str(path)!r}")
    return found


def short_reason(error: Exception) -> str:
    """Message of an error in one line of bounded length; the name of its class if it is empty."""
    return " ".join(str(error).split())[:_REASON] or type(error).__name__


class _Unpacked:
    """Content of a gzip file of bounded size.

    Unlike `gzip`, zlib skips a header of any length at once, and reads one part only.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._unpack = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._total = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        content = b""
        while len(content) < size and not self._unpack.eof:
            packed = self._unpack.unconsumed_tail or self._file.read(_CHUNK)
            piece = self._unpack.decompress(packed, size - len(content))
            if not packed and not piece:
                raise EOFError("it is cut short")
            content += piece
        if self._unpack.eof and (self._unpack.unused_data + self._file.read(_CHUNK)).strip(b"\0"):
            raise tarfile.ReadError("something follows its end")
        self._total += len(content)
        _check_total(self._path, self._total, TOTAL_BYTES)
        if _SPARSE in self._last + content:
            raise tarfile.ReadError("it has sparse files")
        self._last = content[-len(_SPARSE) :]
        return content


def _bounded_headers() -> type[tarfile.TarInfo]:
    """Header class of one archive that rejects long or many extended headers before they are read."""
    extensions = 0

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            nonlocal extensions
            header = super().frombuf(buf, encoding, errors)
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise tarfile.ReadError("it has sparse files")
            if header.type in _EXTENDING:
                extensions += 1
                if not 0 <= header.size <= _EXTENSION_BYTES or extensions > _EXTENSIONS:
                    raise tarfile.ReadError(
                        f"an extended header has {header.size} bytes, or there are more than {_EXTENSIONS}; "
                        f"expected at most {_EXTENSION_BYTES} bytes"
                    )
            return header

    return Header


def _check_member(what: str, member: tarfile.TarInfo) -> None:
    _check_name(what, member.name)
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise ConfigError(f"{what} is a link or a special file; expected plain files")
    _check_size(what, member.size, FILE_BYTES)


def _check_name(what: str, name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if not name or not parts[0] or ".." in parts or ":" in parts[0] or "\0" in name:
        raise ConfigError(f"{what} would leave the folder; expected relative paths without '..'")
    if len(parts) > _DEPTH:
        raise ConfigError(f"{what} is {len(parts)} folders deep; expected at most {_DEPTH}")


def _check_size(what: str, size: int, most: int) -> None:
    if not 0 <= size <= most:
        raise ConfigError(f"{what} has {size} bytes; expected at most {most}")


def _check_total(path: Path, size: int, most: int) -> None:
    if size > most:
        raise ConfigError(f"archive {str(path)!r} unpacks to more than {most} bytes")
