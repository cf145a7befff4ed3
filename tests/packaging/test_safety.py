"""The library runs no code out of data: no pickles, no eval, no exec."""

import ast

import pytest
from checkout import ROOT, library_files

UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
# CIFAR is published as pickles; this module reads data out of them and knows three names, none of which runs.
RESTRICTED = "moopim/network/datasets/pickles.py"
UNSAFE_CALLS = {"eval", "exec", "compile", "torch.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle"}


def _is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


def unsafe(source):
    """Lines of a module that import a pickling module, or call something that runs code out of data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names} & UNSAFE_MODULES
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]} & UNSAFE_MODULES
        elif isinstance(node, ast.Call):
            names = {ast.unparse(node.func)} & UNSAFE_CALLS
            names |= {word.arg for word in node.keywords if word.arg == "allow_pickle" and not _is_false(word.value)}
        else:
            continue
        if names:
            yield node.lineno, *names


@pytest.mark.parametrize(
    "path", [path for path, _ in library_files("*.py")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_module_loads_no_code_from_data(path):
    source = path.read_text(encoding="utf-8")
    found = [name for _, *names in unsafe(source) for name in names]
    if path == ROOT / RESTRICTED:
        assert found == ["pickle"]
        attributes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
        used = {node.attr for node in attributes if ast.unparse(node.value) == "pickle"}
        assert used == {"Unpickler", "UnpicklingError"}
    else:
        assert found == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from dill import loads", "eval('1')", "torch.load('x')", "np.load('x', allow_pickle=True)"],
)
def test_the_scan_finds_what_it_looks_for(source):
    assert len(list(unsafe(source))) == 1
