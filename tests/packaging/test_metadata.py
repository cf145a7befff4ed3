"""setup.cfg, constraints.txt, CITATION.cff and CHANGELOG.md against the code and each other."""

import re
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from checkout import ROOT, library_files, lines, setup_cfg
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import moopim

PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.]+)")


def pins():
    rows = (PIN.fullmatch(line) for line in lines((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    return {canonicalize_name(row["name"]): row["version"] for row in rows}


def requirements():
    config = setup_cfg()
    values = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    found = [Requirement(line) for value in values for line in lines(value)]
    return [item for item in found if item.name != "moopim"]


def test_the_list_of_packages_is_what_is_on_disk():
    on_disk = {".".join(place.parent.parts) for _, place in library_files("__init__.py")}
    assert set(lines(setup_cfg()["options"]["packages"])) == on_disk


def test_every_package_is_mapped_to_its_folder():
    mapping = dict(line.partition("= ")[::2] for line in lines(setup_cfg()["options"]["package_dir"]))
    expected = {
        ".".join(place.parent.parts): path.parent.relative_to(ROOT).as_posix()
        for path, place in library_files("__init__.py")
        if path.relative_to(ROOT).parts[0] != "moopim" or place.parent == Path("moopim")
    }
    assert {name.strip(): folder for name, folder in mapping.items()} == {"": "editable", **expected}


def test_an_editable_install_puts_nothing_but_the_package_on_the_path():
    assert [path.name for path in (ROOT / "editable").iterdir()] == ["moopim"]
    assert (ROOT / "editable" / "moopim").resolve() == (ROOT / "moopim").resolve()


def test_entry_points_resolve():
    entries = [entry for entry in distribution("moopim").entry_points if entry.group != "console_scripts"]
    assert {(entry.group, entry.name) for entry in entries} >= {
        ("moopim.problems", "hunt"),
        ("moopim.evaluate", "hunt"),
    }
    for entry in distribution("moopim").entry_points:
        assert callable(entry.load()), entry


def test_the_version_is_the_same_everywhere():
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {citation[1], newest[1], version("moopim")} == {moopim.__version__}


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_pinned_version_meets_the_requirement(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_torch_is_pinned_exactly_and_no_part_of_the_core():
    assert pins()["torch"] == "2.13.0"
    core = {Requirement(line).name for line in lines(setup_cfg()["options"]["install_requires"])}
    assert not core & {"torch", "safetensors", "scikit-learn", "pyarrow", "plotly", "numba"}
