"""What importing loads, and under which names the packages can be imported."""

import subprocess
import sys

import pytest
from checkout import ROOT

HEAVY = ("torch", "matplotlib.pyplot", "sklearn", "numba", "plotly", "pyarrow")


def python(code, cwd):
    """Runs code in a fresh interpreter; returns exit code, standard output and standard error."""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "import moopim",
        "import moopim; moopim.Genome, moopim.DesignProblem",
        (
            "import moopim.cli.entry, contextlib, io\n"
            "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
            "    moopim.cli.entry.main(['--help'])"
        ),
    ],
    ids=["import", "problem", "help"],
)
def test_heavy_modules_are_not_loaded(code, tmp_path):
    code = f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    assert python(code, tmp_path) == (0, "[]", "")


def test_help_loads_no_numpy(tmp_path):
    code = (
        "import moopim.cli.entry, contextlib, io, sys\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    moopim.cli.entry.main(['--help'])\n"
        "print('numpy' in sys.modules)"
    )
    assert python(code, tmp_path) == (0, "False", "")


@pytest.mark.parametrize("name", ["problems", "analysis"])
def test_bare_import_in_the_checkout_is_refused(name):
    code, _, error = python(f"import {name}", ROOT)
    assert code == 1
    assert f"ImportError: import moopim.{name}, not {name}" in error


@pytest.mark.parametrize("name", ["problems", "analysis"])
def test_bare_packages_are_not_installed(name, tmp_path):
    assert python(f"import importlib.util; print(importlib.util.find_spec({name!r}))", tmp_path) == (0, "None", "")


def test_every_public_name_resolves_beside_a_folder_of_the_same_name(tmp_path):
    (tmp_path / "moopim" / "moopim").mkdir(parents=True)  # as in the folder above a clone
    code = "import moopim; print(sorted(set(moopim.__all__) - {n for n in moopim.__all__ if hasattr(moopim, n)}))"
    assert python(code, tmp_path) == (0, "[]", "")


def test_an_unknown_name_is_an_attribute_error(tmp_path):
    code, _, error = python("import moopim; moopim.Genom", tmp_path)
    assert code == 1
    assert "AttributeError: No moopim attribute Genom" in error
