"""The wheel: everything of the library at its place, and nothing else."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from checkout import PACKAGES, ROOT, library_files

BUILD_FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """Names of the files in a wheel that is built from a copy of the checkout."""
    pytest.importorskip("setuptools", minversion="77", reason="builds need a newer setuptools")
    source = tmp_path_factory.mktemp("source")
    for folder in PACKAGES:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, source)
    words = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", "dist", ".")
    subprocess.run([sys.executable, *words], cwd=source, check=True)
    (wheel,) = (source / "dist").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_every_file_of_the_library_is_in_the_wheel_at_its_place(wheel_names):
    expected = {place.as_posix() for _, place in library_files("*")}
    assert {name for name in wheel_names if ".dist-info/" not in name} == expected


@pytest.mark.slow
def test_the_licence_is_in_the_wheel(wheel_names):
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
