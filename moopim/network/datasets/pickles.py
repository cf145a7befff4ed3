"""Safe reader of the pickles of CIFAR: nothing that a pickle names is run.

A pickle is a program: it may call anything that Python can import. Here its instructions are checked against the few
that data need, and the three names of NumPy in CIFAR's files are mapped to plain records of this module, so that no
code of another module is run by a file.

Plain data may be harmful, too: tuples a million deep overflow the stack when they are hashed; hashing a pair of twice
the same pair, and so on, never ends; so does a dictionary whose keys all have one hash, as whole numbers may that
differ by multiples of ``2**61 - 1``. So instructions and tuples are limited in number, whole numbers in size, and a
list or a tuple can be used once only.
"""

import io
import math
import pickle
import pickletools
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from moopim.errors import ConfigError
from moopim.network.datasets.archives import short_reason

# Numbers, strings, lists, tuples and dictionaries; GLOBAL and REDUCE for arrays, by `_NAMES` only.
_OPCODES = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG1 "
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES "
    "EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS "
    "PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD"
)
# Names, strings and results of REDUCE (an array or its type) may be used repeatedly.
_SHARED = (
    "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES "
    "GLOBAL STACK_GLOBAL REDUCE"
)
_INSTRUCTIONS = 2_000_000  # CIFAR-100 needs about 250,000: file names and labels of 50,000 images
_TUPLES = 100  # CIFAR needs 6, for its array
_AXES = 4  # of an array
_LARGEST = 2**63  # of a whole number; at most 8 such numbers have one hash


class _Array:
    """Placeholder of an array of bytes while a pickle is read."""

    __slots__ = ("bytes", "order", "shape")

    def __init__(self, *_: object) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.order: Literal["C", "F"] = "C"
        self.bytes = b""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, column_major, content = state
        if not isinstance(dtype, _Bytes) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array is not of bytes")
        if len(shape) > _AXES or not all(type(side) is int and side >= 0 for side in shape):
            raise pickle.UnpicklingError(f"an array has a shape other than up to {_AXES} whole numbers")
        if math.prod(shape) != len(content):
            raise pickle.UnpicklingError(f"an array of shape {shape} holds {len(content)} bytes")
        self.shape, self.order, self.bytes = tuple(shape), "F" if column_major else "C", content

    def array(self) -> NDArray[np.uint8]:
        """Array of the placeholder."""
        return np.frombuffer(self.bytes, np.uint8).reshape(self.shape, order=self.order)


class _Bytes:
    """Placeholder of the type ``uint8`` while a pickle is read."""

    __slots__ = ()

    def __init__(self, code: object, *_: object) -> None:
        if code not in {b"u1", "u1"}:
            raise pickle.UnpicklingError(f"an array is of type {code!r}; expected u1")

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order and the like, which bytes do not have."""


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Bytes,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which could run code")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"it refers to an object {pid!r} outside the file")


def read_pickle(content: bytes, what: str) -> dict[str, Any]:
    """Entries of a pickled dictionary of numbers, strings, lists and uint8 arrays, of Python 2 or 3; keys become str.

    ConfigError, naming the source by `what`, if the pickle is truncated, not of a dictionary, or holds anything else.
    """
    try:
        _check_instructions(content)
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # noqa: BLE001 (a hostile pickle may fail in any way)
        raise ConfigError(f"{what} cannot be read as a pickle of plain data: {short_reason(error)}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{what} holds a {type(found).__name__}; expected a dictionary")
    return {_text(key): value.array() if isinstance(value, _Array) else value for key, value in found.items()}


def _check_instructions(content: bytes) -> None:
    allowed, shared = set(_OPCODES.split()), set(_SHARED.split())
    memory: dict[int, bool] = {}  # slot -> whether its content may be used again
    tuples, before = 0, ""
    for number, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        name = opcode.name
        if name not in allowed:
            raise pickle.UnpicklingError(f"instruction {name} is not one of plain data")
        tuples += name.startswith("TUPLE")
        if number >= _INSTRUCTIONS or tuples > _TUPLES:
            raise pickle.UnpicklingError("it has more instructions or tuples than data need")
        if isinstance(argument, int) and abs(argument) > _LARGEST:
            raise pickle.UnpicklingError(f"a whole number has more than {_LARGEST.bit_length()} bits")
        if name.endswith("GET") and not memory.get(int(argument or 0)):
            raise pickle.UnpicklingError("it uses a list, a tuple or nothing twice")
        if name.endswith("PUT") or name == "MEMOIZE":
            place = len(memory) if name == "MEMOIZE" else int(argument or 0)
            # The unpickler allocates all slots up to the named one.
            if place > min(len(content), _INSTRUCTIONS):
                raise pickle.UnpicklingError(f"it asks for place {place} of its memory")
            memory[place] = before in shared
        before = name


def _text(key: object) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
