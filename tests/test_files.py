"""Files: read within bounds; written so that the old one or the new one is there, links and devices as they are."""

import os
import stat
import threading
from pathlib import Path

import pytest

from moopim.files import open_atomically, read_bounded, read_json, write_atomically


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_of_the_user_with_the_name_of_a_partial_one_is_left_alone(tmp_path):
    (tmp_path / "r.csv.partial").write_text("mine")
    write_atomically(tmp_path / "r.csv", "new")
    assert (tmp_path / "r.csv.partial").read_text() == "mine"
    assert left(tmp_path) == ["r.csv", "r.csv.partial"]


def test_the_old_file_stays_whole_until_the_new_one_is(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("old")
    with open_atomically(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert left(tmp_path) == ["r.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_file_that_failed(tmp_path, error):
    path = tmp_path / "r.csv"
    path.write_text("old")

    def fail():
        with open_atomically(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert left(tmp_path) == ["r.csv"]


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "target.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("middle.csv")
    (tmp_path / "middle.csv").symlink_to("far/target.csv")
    (tmp_path / "new.csv").symlink_to("far/new.csv")  # of a file that is not there yet
    for link in ("link.csv", "new.csv"):
        write_atomically(tmp_path / link, link)
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / link).read_text() == link
    assert (tmp_path / "middle.csv").is_symlink()
    assert left(tmp_path / "far") == ["new.csv", "target.csv"]


def test_a_pipe_stays_a_pipe_and_gets_what_is_written(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_atomically(pipe, "a\nb\n")
    reader.join(timeout=10)
    assert found == ["a\nb\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert left(tmp_path) == ["pipe"]


def test_a_terminal_stays_a_device(tmp_path):
    master, slave = os.openpty()
    try:
        (tmp_path / "terminal").symlink_to(os.ttyname(slave))
        write_atomically(tmp_path / "terminal", "shown")
        assert os.read(master, 100) == b"shown"
        assert stat.S_ISCHR((tmp_path / "terminal").stat().st_mode)
        assert (tmp_path / "terminal").is_symlink()
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd here")
def test_a_pipe_without_a_name_is_found_under_its_number():
    read, write = os.pipe()
    try:
        write_atomically(Path(f"/dev/fd/{write}"), "x")  # what a shell passes for >(command)
        assert os.read(read, 10) == b"x"
    finally:
        os.close(read)
        os.close(write)


def test_permissions_are_those_of_a_plain_file(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new.csv", "")
        (tmp_path / "plain.csv").write_text("")
    finally:
        os.umask(old)
    assert (tmp_path / "new.csv").stat().st_mode == (tmp_path / "plain.csv").stat().st_mode
    (tmp_path / "old.csv").touch()
    (tmp_path / "old.csv").chmod(0o604)
    write_atomically(tmp_path / "old.csv", "")
    assert stat.S_IMODE((tmp_path / "old.csv").stat().st_mode) == 0o604


def test_the_longest_name_that_a_file_may_have_is_written(tmp_path):
    path = tmp_path / ("x" * 255)
    write_atomically(path, "")
    assert path.is_file()


def test_what_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    for path in (tmp_path, tmp_path / "no" / "r.csv", tmp_path / "circle"):
        with pytest.raises(OSError, match=r"directory|symbolic links"):
            write_atomically(path, "")
    assert left(tmp_path) == ["circle"]


def sparse(path):
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is a pipe or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "is a pipe or a device"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (sparse, "is larger than 1 MiB"),
        (lambda path: path.write_bytes(bytes(2**20 + 1)), "is larger than 1 MiB"),
        (Path.mkdir, "Is a directory"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_file_of_bounded_size_is_not_read(tmp_path, make, message):
    make(tmp_path / "file")
    with pytest.raises(OSError, match=message):
        read_bounded(tmp_path / "file", 2**20)


def test_a_file_within_bounds_is_read_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 2**20)
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "link", 2**20) == b"x" * 2**20


@pytest.mark.parametrize(
    "content",
    [b'["\\ud800"]', b"[" * 100_000, b"{", b"\xff", b"9" * 5000, b'{"a":' * 100_001, b"[" + b"1," * 2_000_001 + b"1]"],
)
def test_json_that_is_damaged_deep_or_has_many_entries_is_not_read(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(
        OSError, match=r"is nested too deep|is not JSON|has more than 100,000 names or 2,000,000 entries"
    ):
        read_json(tmp_path / "file", 2**24)
