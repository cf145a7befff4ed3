"""CIFAR-10 and CIFAR-100 from tiny files in their published forms, and from files that are not what they should be."""

import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest

from moopim import ConfigError
from moopim.network.datasets import load_data

FORMS = {
    "binary": ("cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
    "python": ("cifar-10-batches-py", "cifar-10-python.tar.gz"),
}
NAMES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def pixels(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def python2(entries):
    """A pickle as Python 2 and an old NumPy wrote it: text as bytes, arrays through numpy.core.multiarray."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    def array(value):
        content = value.tobytes()
        sides = b"".join(b"M" + side.to_bytes(2, "little") for side in value.shape)
        size = len(content).to_bytes(4, "little")
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR("
            b"K\x01(" + sides + b"tcnumpy\ndtype\n(" + text(b"u1") + b"K\x00K\x01tR"
            b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            b"\x89T" + size + content + b"tb"
        )

    def value_of(value):
        if isinstance(value, np.ndarray):
            return array(value)
        if isinstance(value, list):
            return b"](" + b"".join(map(value_of, value)) + b"e"
        return text(value) if isinstance(value, bytes) else b"K" + bytes([value])

    return b"\x80\x02}(" + b"".join(text(key) + value_of(entry) for key, entry in entries.items()) + b"u."


def binary_files(per_batch=10):
    files = {"batches.meta.txt": "\n".join(NAMES).encode() + b"\n\n"}
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = np.arange(per_batch, dtype=np.uint8) % 10
        files[f"{name}.bin"] = np.hstack([labels[:, None], pixels(seed, per_batch)]).tobytes()
    return files


def python_files(per_batch=10, write=python2):
    files = {"batches.meta": write({b"num_vis": 8, b"label_names": [name.encode() for name in NAMES]})}
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        labels = [i % 10 for i in range(per_batch)]
        entries = {b"batch_label": b"one", b"labels": labels, b"data": pixels(seed, per_batch)}
        files[name] = write({**entries, b"filenames": [b"a.png"] * per_batch})
    return files


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def pack(path, folder, files, change=None):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if change is not None:
            archive.addfile(*change)


def files_of(form):
    return binary_files() if form == "binary" else python_files()


def images(data):
    """All training images as bytes, in the order of the files."""
    split = {"train": data.train, "validation": data.validation, "test": data.test}
    mean, std = (np.array(value)[:, None, None] for value in (data.mean, data.std))
    return {name: np.rint((part.images.numpy() * std + mean) * 255).astype(np.uint8) for name, part in split.items()}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["subfolder", "root", "archive"])
def test_every_published_form_gives_the_same_images(tmp_path, form, place):
    folder, archive = FORMS[form]
    if place == "archive":
        pack(tmp_path / archive, folder, files_of(form))
    else:
        write(tmp_path / folder if place == "subfolder" else tmp_path, files_of(form))
    data = load_data("cifar10", tmp_path)
    assert data.class_names == tuple(NAMES)
    assert data.image_shape == (3, 32, 32)
    assert not data.synthetic
    assert (len(data.train), len(data.validation), len(data.test)) == (45, 5, 10)
    found = images(data)
    assert np.array_equal(found["test"].reshape(10, -1), pixels(5, 10))
    assert data.test.labels.tolist() == list(range(10))
    published = np.concatenate([pixels(seed, 10) for seed in range(5)])
    ours = np.concatenate([found["train"], found["validation"]]).reshape(50, -1)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, published))
    where = {bytes(image): number % 10 for number, image in enumerate(published)}
    labels = [*data.train.labels.tolist(), *data.validation.labels.tolist()]
    assert labels == [where[bytes(image)] for image in ours]


def test_pickles_of_python_3_are_read(tmp_path):
    write(tmp_path, python_files(write=pickle.dumps))
    assert images_of_test(tmp_path) == pixels(5, 10).tobytes()


def test_training_images_have_mean_0_and_deviation_1(tmp_path):
    write(tmp_path, binary_files())
    train = load_data("cifar10", tmp_path).train.images.double()
    assert train.mean(dim=(0, 2, 3)).abs().max() < 1e-6
    assert (train.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-6


def test_arrays_of_pickles_may_be_in_columns(tmp_path):
    files = python_files()
    marker = b"tb\x89T"  # the end of the type, then "not in columns"
    images, columns = pixels(5, 10), pixels(5, 10).tobytes("F")
    assert files["test_batch"].count(marker) == 1
    files["test_batch"] = files["test_batch"].replace(marker, b"tb\x88T").replace(images.tobytes(), columns)
    write(tmp_path, files)
    assert images_of_test(tmp_path) == images.tobytes()


def images_of_test(root):
    return images(load_data("cifar10", root))["test"].tobytes()


def cifar100(form, count=110):
    labels = [i % 100 for i in range(count)]
    names = [f"thing{i}" for i in range(100)]
    if form == "binary":
        rows = [np.array([[i % 20, label] for i, label in enumerate(labels)], np.uint8), pixels(1, count)]
        content = np.hstack(rows).tobytes()
        return {"train.bin": content * 6, "test.bin": content, "fine_label_names.txt": "\n".join(names).encode()}
    entries = {b"fine_labels": labels, b"coarse_labels": [i % 20 for i in range(count)], b"data": pixels(1, count)}
    train = {**entries, b"fine_labels": labels * 6, b"data": np.tile(pixels(1, count), (6, 1))}
    meta = {b"fine_label_names": [name.encode() for name in names], b"coarse_label_names": [b"x"] * 20}
    return {"train": python2(train), "test": python2(entries), "meta": python2(meta)}


@pytest.mark.parametrize("form", ["binary", "python"])
def test_cifar100_takes_its_fine_labels(tmp_path, form):
    pack(tmp_path / f"cifar-100-{form}.tar.gz", f"cifar-100-{form}", cifar100(form))
    data = load_data("cifar100", tmp_path)
    assert (data.classes, data.class_names[99]) == (100, "thing99")
    assert data.test.labels.tolist() == [i % 100 for i in range(110)]
    assert (len(data.train), len(data.validation)) == (594, 66)


def test_a_folder_without_the_set_is_described():
    with pytest.raises(ConfigError, match=r"expected root, the folder that holds them"):
        load_data("cifar10")


def test_an_empty_folder_is_told_what_belongs_there(tmp_path):
    with pytest.raises(
        ConfigError, match=r"cifar-10-binary\.tar\.gz or cifar-10-batches-bin/ with data_batch_1\.bin.*batches-py/"
    ):
        load_data("cifar10", tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_file_is_named(tmp_path, form):
    folder, archive = FORMS[form]
    files = files_of(form)
    gone = sorted(files)[3]
    del files[gone]
    write(tmp_path / "a" / folder, files)
    with pytest.raises(ConfigError, match=rf"file '.*{folder}/{gone}' is missing"):
        load_data("cifar10", tmp_path / "a")
    pack(tmp_path / archive, folder, files)
    with pytest.raises(ConfigError, match=rf"file '{folder}/{gone}' is missing in archive '.*{archive}'"):
        load_data("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_2.bin", lambda old: old[:-1], "has 30729 bytes; expected a multiple of 3073"),
        ("test_batch.bin", lambda _: b"", "has 0 bytes; expected a multiple of 3073"),
        ("data_batch_1.bin", lambda old: b"\x0a" + old[1:], r"image 0 has label 10; expected 0\.\.9"),
        ("batches.meta.txt", lambda old: old[6:], "names 9 classes; expected 10"),
    ],
)
def test_wrong_binary_files_are_refused(tmp_path, name, change, message):
    files = binary_files()
    write(tmp_path, {**files, name: change(files[name])})
    with pytest.raises(ConfigError, match=message):
        load_data("cifar10", tmp_path)


def batch(**entries):
    base = {"labels": list(range(10)), "data": pixels(0, 10)}
    return python2({key.encode(): value for key, value in {**base, **entries}.items()})


def entangled(depth):
    """A key that is a pair of twice the same pair, and so on: twice the work at every level."""
    pairs = b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(depth))
    return b"\x80\x02}U\x01a(" + b")q\x00" + pairs + b"ts" + b"h" + bytes([depth]) + b"K\x01s."


class Hostile:
    """What a pickle can do: call anything, here with a file as its trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch()[:-500], "cannot be read as a pickle"),
        (b"", "cannot be read as a pickle"),
        (b"\x89PNG not a pickle", "cannot be read as a pickle"),
        (pickle.dumps([1]), "holds a list; expected a dictionary"),
        (batch(labels=[1] * 9), r"'data' of shape \(10, 3072\); expected \(9, 3072\)"),
        (batch(labels=[*range(9), 10]), r"image 9 has label 10; expected 0\.\.9"),
        (batch(labels=[*range(9), b"x"]), "not whole numbers"),
        (batch(labels=np.arange(10, dtype=np.uint8)), "has no list 'labels'; it has 'labels', 'data'"),
        # Tuples so deep that hashing them overflows the stack, and so entangled that it never ends.
        (b"\x80\x02})" + b"\x85" * 1_000_000 + b"K\x01s.", "more instructions or tuples than data need"),
        (b"\x80\x02}U\x01a(" + b"]" * 2_000_001 + b"ts.", "more instructions or tuples than data need"),
        (entangled(40), "it uses a list, a tuple or nothing twice"),
        (b"\x80\x02}U\x01ah\x00s.", "it uses a list, a tuple or nothing twice"),
        (batch().replace(b"M\x00\x0ct", b"M\x00\x0cK\x01K\x01K\x01t"), "a shape other than up to 4 whole numbers"),
        (batch(data=[1] * 10), r"'data' of shape list; expected"),
        (python2({b"data": pixels(0, 10)}), "has no list 'labels'; it has 'data'"),
        (batch().replace(b"U\x02u1", b"U\x02O8"), "type b'O8'; expected u1"),
        (batch().replace(b"M\x0a\x00M", b"M\xff\xffM"), "holds 30720 bytes"),
        (batch().replace(b"_reconstruct\n", b"scalar\n"), "names numpy.core.multiarray.scalar"),
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", "names os.system, which could run code"),
        (b"\x80\x02Ux\x02Pme\n.", "cannot be read as a pickle"),
        (b"\x80\x02}r\xff\xff\xff\x7f.", "asks for place 2147483647"),
        # Keys that all have one hash: looking them up would take hours.
        (b"\x80\x02}(" + b"\x8a\x0c" + (2**80).to_bytes(12, "little") + b"Nu.", "a whole number has more than 64 bits"),
        (b"\x80\x02}(I" + b"9" * 4000 + b"\nNu.", "a whole number has more than 64 bits"),
        (b"Pme\n.", "instruction PERSID is not one of plain data"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.", "cannot be read as a pickle"),
    ],
)
def test_wrong_pickles_are_refused_in_one_line(tmp_path, content, message):
    write(tmp_path, {**python_files(), "data_batch_3": content})
    with pytest.raises(ConfigError, match=message) as caught:
        load_data("cifar10", tmp_path)
    assert "'data_batch_3' of" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_class_names_that_are_not_text_are_refused(tmp_path):
    write(tmp_path, {**python_files(), "batches.meta": python2({b"label_names": [[b"cat"]] * 10})})
    with pytest.raises(ConfigError, match="'label_names' that are not text; expected the name of each class"):
        load_data("cifar10", tmp_path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_code_does_not(tmp_path, protocol):
    trace = tmp_path / "trace"
    write(tmp_path, {**python_files(), "data_batch_3": pickle.dumps({"data": Hostile(trace)}, protocol)})
    with pytest.raises(ConfigError, match=r"could run code|DICT is not one of plain data"):
        load_data("cifar10", tmp_path)
    assert not trace.exists()


def member(name, kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info, io.BytesIO(bytes(size))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (member("../evil"), "member '../evil' .* would leave the folder"),
        (member("cifar-10-batches-bin/../../evil"), "would leave the folder"),
        (member("/etc/evil"), "would leave the folder"),
        (member("C:\\evil"), "would leave the folder"),
        (member("cifar-10-batches-bin/link", tarfile.SYMTYPE, link="/etc/passwd"), "is a link or a special file"),
        (member("cifar-10-batches-bin/link", tarfile.LNKTYPE, link="../x"), "is a link or a special file"),
        (member("cifar-10-batches-bin/pipe", tarfile.FIFOTYPE), "is a link or a special file"),
        (member("a/" * 50 + "x"), "is 51 folders deep; expected at most 16"),
    ],
)
def test_hostile_archives_are_refused_and_nothing_is_written(tmp_path, change, message):
    folder, archive = FORMS["binary"]
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    pack(root / archive, folder, binary_files(), change)
    with pytest.raises(ConfigError, match=message):
        load_data("cifar10", root)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["a", "b", archive]


@pytest.mark.parametrize("limit", ["FILE_BYTES", "TOTAL_BYTES"])
def test_archives_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch, limit):
    folder, archive = FORMS["binary"]
    pack(tmp_path / archive, folder, binary_files())
    monkeypatch.setattr(f"moopim.network.datasets.archives.{limit}", 20_000)
    with pytest.raises(ConfigError, match=r"30730 bytes; expected at most 20000|unpacks to more than 20000 bytes"):
        load_data("cifar10", tmp_path)


def test_an_archive_with_too_many_members_is_refused(tmp_path, monkeypatch):
    folder, archive = FORMS["binary"]
    pack(tmp_path / archive, folder, binary_files())
    monkeypatch.setattr("moopim.network.datasets.archives._TAR_MEMBERS", 6)
    with pytest.raises(ConfigError, match="has more than 6 members"):
        load_data("cifar10", tmp_path)


def test_a_header_that_python_cannot_take_is_refused_in_one_line(tmp_path):
    record = b"9" * 5000 + b" a=b\n"
    info = tarfile.TarInfo("extended")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    content = info.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % 512)
    (tmp_path / FORMS["binary"][1]).write_bytes(gzip.compress(content + bytes(1024)))
    with pytest.raises(ConfigError, match=r"archive '.*' cannot be read: "):
        load_data("cifar10", tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 5000, -8])
def test_truncated_archives_are_refused(tmp_path, keep):
    folder, archive = FORMS["binary"]
    pack(tmp_path / archive, folder, binary_files())
    (tmp_path / archive).write_bytes((tmp_path / archive).read_bytes()[:keep])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_data("cifar10", tmp_path)


def header(kind, size, name="x"):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


SPARSE = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"


LARGE = {
    "extended header": (lambda: gzip.compress(header(tarfile.XHDTYPE, 900_000_000)), "header has 900000000 bytes"),
    "negative size": (lambda: gzip.compress(header(tarfile.GNUTYPE_LONGNAME, -1)), "header has -1 bytes"),
    "chain": (lambda: gzip.compress((header(tarfile.GNUTYPE_LONGNAME, 9) + bytes(512)) * 5000), "more than 200"),
    "holes": (lambda: gzip.compress(header(tarfile.XHDTYPE, 44) + SPARSE.ljust(512, b"\0")), "it has sparse files"),
    "old holes": (lambda: gzip.compress(header(tarfile.GNUTYPE_SPARSE, 0)), "it has sparse files"),
    "zeros": (lambda: gzip.compress(bytes(300_000_000), 1), "unpacks to more than 268435456 bytes"),
    "endless name": (lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 10_000_000, "it is cut short"),
    "two streams": (lambda: gzip.compress(b"") * 2, "something follows its end"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_tar_archive_cannot_ask_for_much(tmp_path, name):
    make, message = LARGE[name]
    (tmp_path / FORMS["binary"][1]).write_bytes(make())
    with pytest.raises(ConfigError, match=message):
        load_data("cifar10", tmp_path)


def test_the_files_of_a_set_are_bounded_in_all(tmp_path, monkeypatch):
    write(tmp_path, binary_files())
    monkeypatch.setattr("moopim.network.datasets.cifar.TOTAL_BYTES", 100_000)
    with pytest.raises(ConfigError, match=r"data_batch_4\.bin' has 30730 bytes; expected at most 7810"):
        load_data("cifar10", tmp_path)
