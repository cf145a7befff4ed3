"""Sets of images: pickles, archives and pictures."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hostile.changes import Content, change_bytes, change_words

_CIFAR = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def cifar() -> Content:
    files = {"batches.meta": pickle.dumps({"label_names": [str(i) for i in range(10)]}, 2)}
    for seed, name in enumerate(_CIFAR):
        files[name] = cifar_pickle(np.random.default_rng(seed).integers(0, 256, (10, 3072), np.uint8), list(range(10)))
    return files


def cifar_pickle(pixels: Any, labels: list[int]) -> bytes:
    """A batch as Python 2 and an old NumPy wrote it."""
    text = b"".join(b"K" + bytes([label]) for label in labels)
    rows, size = len(pixels).to_bytes(2, "little"), pixels.size.to_bytes(4, "little")
    return (
        b"\x80\x02}(U\x06labels]("
        + text
        + b"eU\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR("
        b"K\x01(M"
        + rows
        + b"M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + size + pixels.tobytes() + b"tbu."
    )


def spoil_cifar(random: Random, files: Content) -> Content:
    """Instructions put into a pickle, replaced or repeated."""
    name = random.choice(sorted(files))
    content = files[name]
    collisions = b"".join(b"\x8a\x0c" + (i * (2**61 - 1)).to_bytes(12, "little") + b"N" for i in range(1, 20_000))
    parts = [
        b"(", b"]", b"}", b")", b"\x85", b"\x86", b"t", b"a", b"s", b"u", b"e", b"R", b"b", b"0", b"2", b"N",
        b"q\x00", b"h\x00", b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff",
        b"\x8a\xff" + b"\xff" * 255, b"\x8b\xff\xff\xff\x7f", b"I" + b"9" * 5000 + b"\n", b"I99\n", b"cos\nsystem\n",
        b"cnumpy\ndtype\n", b"\x93", b"\x94", b"\x95" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"T\xff\xff\xff\x7f",
        b"X\xff\xff\xff\xff", b"]" * 50_000, b"\x85" * 200, b"(" + b"]" * 1000 + b"t", b"Pme\n", b"Q", b"\x82\x01",
        b"i", b"}(" + collisions + b"u", b"G" + b"\x7f\xf8" + bytes(6), b".", b"S'x'\n", b"Vx\\ud800\n", b"U\x02u1",
        b"U\x02O8", b"\x8c\x01a",
    ]  # fmt: skip
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(min(len(content), 200) + 1)
        part = random.choice(parts)
        content = content[:at] + part + content[at + random.choice((0, 0, len(part))) :]
    return files | {name: content}


def read_cifar(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("cifar10", folder)


def tar() -> Content:
    return {"cifar-10-binary.tar.gz": _packed({name: (None, content) for name, content in _binary().items()})}


def _binary() -> Content:
    files = {"batches.meta.txt": "\n".join("abcdefghij").encode()}
    for seed, name in enumerate(_CIFAR):
        records = np.random.default_rng(seed).integers(0, 256, (10, 3073), np.uint8)
        records[:, 0] = range(10)
        files[f"{name}.bin"] = records.tobytes()
    return files


def _packed(members: Mapping[str, tuple[Any, bytes]]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, (info, data) in members.items():
            member = info or tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(content.getvalue(), 1, mtime=0)


def spoil_tar(random: Random, files: Content) -> Content:
    """Blocks put in between members: headers of all kinds and sizes, chains of names, holes, and zeros."""
    plain = gzip.decompress(files["cifar-10-binary.tar.gz"])
    kinds = (
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE,
        tarfile.SOLARIS_XHDTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
        b"Z",
    )  # fmt: skip
    info = tarfile.TarInfo(random.choice(("x", "a/" * 60 + "x", "../x", "/x", "cifar-10-batches-bin/test_batch.bin")))
    info.type = random.choice(kinds)
    record = random.choice(
        (
            b"19 GNU.sparse.map=0,1\n",
            b"30 size=9999999999999999999\n",
            b"5 a=\n" * 100,
            b"2 " * 500,
            b"9" * 400 + b" a=b\n",
        )
    )
    body = random.choice((record, b"a" * 600, b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", bytes(2000), b""))
    info.size = random.choice((len(body), len(body), 0, 900_000_000, 2**40))
    block = info.tobuf(tarfile.GNU_FORMAT) + body + bytes(-len(body) % 512)
    at = random.randrange(0, len(plain) // 512 + 1) * 512 if random.random() < 0.3 else 0
    plain = plain[:at] + block * random.choice((1, 1, 2, 5000 if len(block) < 2000 else 50)) + plain[at:]
    if random.random() < 0.1:
        plain = change_bytes(random, plain)
    packed = gzip.compress(plain, 1, mtime=0) + (gzip.compress(b"x", mtime=0) if random.random() < 0.03 else b"")
    if random.random() < 0.02:  # a header without an end
        packed = b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 5_000_000
    return {"cifar-10-binary.tar.gz": packed}


def _picture(level: int, kind: str, size: tuple[int, int] = (64, 64)) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    options = {"progressive": True} if kind == "JPEG" else {}
    Image.new("RGB", size, (level, level, 255 - level)).save(content, kind, **options)
    return content.getvalue()


def tiny() -> Content:
    files = {
        "wnids.txt": b"n01\nn02\n",
        "val/val_annotations.txt": b"val_0.JPEG\tn01\t0\t0\t1\t1\nval_1.JPEG\tn02\t0\t0\t1\t1\n",
    }
    for word in ("n01", "n02"):
        files |= {f"train/{word}/images/{word}_{i}.JPEG": _picture(40 * i, "JPEG") for i in range(5)}
    files |= {f"val/images/val_{i}.JPEG": _picture(100 * i, "JPEG") for i in range(2)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"tiny-imagenet-200/{name}", data)
    return {"tiny-imagenet-200.zip": content.getvalue()}


def spoil_zip(random: Random, files: Content) -> Content:
    """Members that are changed, repeated, large or misnamed; numbers of the directory that lie."""
    with zipfile.ZipFile(io.BytesIO(files["tiny-imagenet-200.zip"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(members))
    big = False
    match random.randrange(6):
        case 0:
            change = change_words if name.endswith("txt") else change_bytes
            members[name] = change(random, members[name])
        case 1:
            del members[name]
        case 2:
            odd = (
                "../x",
                "/x",
                "a/" * 40 + "x",
                "C:\\x",
                "tiny-imagenet-200/train/n03/images/a.JPEG",
                "\u00e9",
                "x" * 70_000,
            )
            members[random.choice(odd)[:65_000]] = b"x"
        case 3:
            members[name] = bytes(random.choice((30 * 2**20, 10 * 2**20)))
            big = True
        case 4:
            members[name] = spoil_picture(random, _picture(7, random.choice(("JPEG", "PNG"))))
        case _:
            members |= {f"tiny-imagenet-200/x{i}": b"" for i in range(random.choice((10, 2000)))}
    content = io.BytesIO()
    method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if big else method, compresslevel=1) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    found = content.getvalue()
    if random.random() < 0.3:
        at = found.index(b"PK\1\2") + random.choice((4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 38, 42))
        found = found[:at] + random.randbytes(random.choice((1, 2, 4))) + found[at + 4 :]
    return {"tiny-imagenet-200.zip": found}


def spoil_picture(random: Random, content: bytes) -> bytes:
    """An image with other sizes, chunks or scans."""
    if content.startswith(b"\x89PNG"):
        size = struct.pack(
            ">II", *random.choice(((2**31 - 1, 2**31 - 1), (0, 0), (30_000, 30_000), (64, 2**31 - 1), (64, 63)))
        )
        kind = random.choice((b"zTXt", b"iCCP", b"tEXt", b"acTL", b"eXIf", b"IDAT", b"PLTE", b"tRNS", b"IHDR"))
        body = random.choice((b"x\0\0" + zlib.compress(bytes(10**7)), b"x\0" + b"9" * 1000, b"", size, size + bytes(5)))
        chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        header = content[12:16] + size + content[24:29]
        resized = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
        return random.choice((resized, content[:33] + chunk + content[33:], content[:33] + chunk * 200 + content[33:]))
    start, scan = content.index(b"\xff\xc2"), content.index(b"\xff\xda")
    size = struct.pack(">HH", *random.choice(((65_535, 65_535), (0, 0), (1024, 1024), (64, 63), (1, 65_535))))
    resized = content[: start + 5] + size + content[start + 9 :]
    return random.choice((resized, content[:-2] + content[scan:-2] * random.choice((3, 90, 5000)) + content[-2:]))


def folder() -> Content:
    kinds = (("png", "PNG"), ("jpg", "JPEG"))
    return {
        f"{word}/{i}.{ending}": _picture(20 * i + base, kind, (8, 8))
        for word, base in (("cat", 0), ("dog", 50))
        for i in range(5)
        for ending, kind in kinds[i % 2 : i % 2 + 1]
    }


def spoil_folder(random: Random, files: Content) -> Content:
    name = random.choice(sorted(files))
    return files | {name: spoil_picture(random, files[name])}


def read_tiny(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("tinyimagenet", folder)


def read_folder(folder: Path) -> None:
    from moopim.network.datasets import load_data

    load_data("folder", folder)
