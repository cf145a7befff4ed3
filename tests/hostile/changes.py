"""What is done to valid files: changed bytes and words, and data that says something else."""

import json
import re
import struct
from random import Random
from typing import Any

Content = dict[str, bytes]
LARGE = 2**21  # byte; what has grown beyond is not changed further
DEEP, DIGITS = "@deep@", "@digits@"  # stand for text that json cannot write

WORDS = [
    "", "0", "-1", "1", "2", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "NaN", "true", "null", "None", "{}",
    "[]", '""', "''", '"', "'", "[", "]", "{", "}", "=", ",", ":", "#", "\n", "\r", "\t", "\0", "\ufeff", "\u2028",
    "\U0001f600", "9" * 30, "9" * 5000, "-" + "9" * 400, "0x" + "f" * 400, "1" + "0" * 400 + ".5", "[" * 2000,
    "{" * 300, "a." * 60 + "a", "x" * 5000, "../../etc/passwd", "/dev/zero", "con", "__class__", "%s%n",
    "1979-05-27T07:32:00Z", "65536", "1000000000", "9223372036854775807", "18446744073709551616", "0.5", "1.0",
    "1_000", "+1", "\u0661\u0662", "value", "unit", "id",
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, -1, 2, 255, 65_536, 10**9, 2**31, 2**63, 10**18, 10**30, 10**400, -(10**400), 0.5, 1e308,
    -1e308, float("nan"), float("inf"), "", "0", "x", "x" * 5000, "\0", "\n", "../x", "/dev/zero", "\U0001f600",
    "\ud800", DEEP, DIGITS, [], {}, [[]], {"a": {}}, [None], [0] * 1000, ["a"] * 1000, {"x": [1, {"y": 2}]},
]  # fmt: skip


def change_bytes(random: Random, content: bytes) -> bytes:  # noqa: PLR0911 (a case each)
    """Content with some bytes changed, moved, taken out or put in."""
    if not content:
        return random.choice((b"\0", b"\xff\xfe", b"x", bytes(100)))
    at, to = sorted(random.randrange(len(content) + 1) for _ in range(2))
    near = min(len(content), at + random.choice((1, 2, 4, 8, 100)))
    numbers = [bytes(8), b"\xff" * 8, b"\xff\xff\xff\x7f", struct.pack("<Q", 2**40), struct.pack("<I", 2**30), b"\x80"]
    match random.randrange(9):
        case 0:
            return content[:at]
        case 1:
            return content[:at] + content[to:]
        case 2:
            return content[:at] + random.randbytes(near - at) + content[near:]
        case 3:
            number = random.choice(numbers)
            return content[:at] + number + content[at + len(number) :]
        case 4:
            return content[:at] + random.choice(numbers) + content[at:]
        case 5:
            return content[:at] + content[at:near] * random.choice((2, 3, 1000)) + content[near:]
        case 6:
            return content[to:] + content[:to]
        case 7:
            bit = bytes([content[min(at, len(content) - 1)] ^ 1 << random.randrange(8)])
            return content[:at] + bit + content[at + 1 :]
        case _:
            return random.choice(
                (b"", b"\xef\xbb\xbf" + content, content.decode("latin-1").encode("utf-16"), b"\0" * 5000)
            )


def change_words(random: Random, content: bytes) -> bytes:
    """Text with a word or a line replaced, repeated, taken out or moved."""
    text = content.decode("utf-8", "replace")
    if random.random() < 0.7:
        parts = [match.span() for match in re.finditer(r"[A-Za-z_]+\w*|[-+]?[\d.]+(?:e[-+]?\d+)?|[^\w\s]", text)] or [
            (0, 0)
        ]
        start, stop = random.choice(parts)
        other = random.choice(parts)
        word = random.choice([*WORDS, text[slice(*other)], text[start:stop] * 2])
        return (text[:start] + word + text[stop:]).encode("utf-8", "replace")
    lines = text.splitlines(keepends=True) or [""]
    at = random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines.insert(at, random.choice(WORDS) + "\n")
        case _:
            lines[at] = lines[at] * random.choice((3, 500))
    return "".join(lines).encode("utf-8", "replace")


def change_value(random: Random, value: Any) -> Any:  # noqa: PLR0911 (a case each)
    """Plain data with one part replaced, renamed, repeated or taken out."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(6):
            case 0:
                return {name: entry for name, entry in value.items() if name != key}
            case 1:
                return {
                    **value,
                    random.choice(("extra", "", "../x", "x" * 300, key.upper(), "\0")): random.choice(VALUES),
                }
            case 2:
                return {(name.swapcase() + "s" if name == key else name): entry for name, entry in value.items()}
            case _:
                return {**value, key: change_value(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        match random.randrange(6):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value * random.choice((2, 50))
            case 2:
                return [*value, random.choice(VALUES)]
            case _:
                return [*value[:at], change_value(random, value[at]), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.4:
        return random.choice(
            (-value, value + 1, value * 1000, value / 3 if abs(value) < 10**300 else 0, str(value), [value])
        )
    return random.choice(VALUES)


def to_json(value: Any) -> str:
    """JSON, with what Python cannot write in its place."""
    text = json.dumps(value)
    return text.replace(f'"{DEEP}"', "[" * 50_000 + "]" * 50_000).replace(f'"{DIGITS}"', "9" * 10_000)


def spoil_json(random: Random, files: Content) -> Content:
    """Files of which one, of JSON, says something else."""
    name = random.choice([name for name in sorted(files) if name.endswith(".json")])
    value = json.loads(files[name])
    for _ in range(random.choice((1, 1, 2, 4))):
        value = change_value(random, value)
    return files | {name: to_json(value).encode()}
