"""The pages of the documentation: all code and all commands in them run, and give what the page shows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moopim.problems.crossnas.simulators import hardware_metrics
from moopim.workload.layers import IMAGE, Layer, make_table

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# A page becomes one script, so that its blocks see what earlier ones made.
PRELUDE = """
import subprocess

def _check(command, expected):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    assert "warning:" not in done.stderr, f"{command}: {done.stderr}"
    assert not expected or done.stdout.rstrip() == expected, f"{command}: {done.stdout}"
"""


def commands(block):
    """Commands of a console block, each with the output that the block shows for it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        yield command, output.rstrip()


def script(page):
    """The page as a Python script."""
    parts = [PRELUDE]
    for kind, block in BLOCK.findall(page):
        parts += [block] if kind == "python" else [f"_check({c!r}, {out!r})" for c, out in commands(block)]
    return "\n".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "page.py").write_text(script(page.read_text(encoding="utf-8")), encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_block_of_code_is_of_a_kind_that_is_run_or_only_shown():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = {"sh", "text", "ini"}
    assert set(re.findall(r"^```(\S+)$", text, re.MULTILINE)) <= {"python", "console", "{toctree}", *shown}


def test_the_simulator_of_the_documentation_by_hand(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from my_simulator import OneAdcPerCrossbar

    # 100 rows, 10 outputs, 5-bit weights and inputs: 80 columns; 4 reads with a DAC of 1 bit, 2 with one of 2 bits.
    layer = Layer("fc", "fc", (IMAGE,), 100, 10, input_bits=5, weight_bits=5)
    circuit = {"crossbar": np.array([64, 128]), "adc_bits": np.array([6, 8]), "dac_bits": np.array([1, 2])}
    found = hardware_metrics(OneAdcPerCrossbar(), make_table([layer]), circuit)
    small = 4 * 2 * 80 * 50 * 64 + 4 * 80 * 100  # fJ: two crossbars of 64 rows, one of 128
    large = 2 * 80 * 50 * 256 + 2 * 80 * 100
    assert found["energy"] == pytest.approx([1e-12 * small, 1e-12 * large])
    assert found["latency"] == pytest.approx([1e-6 * 4 * 64, 1e-6 * 2 * 80])


def test_commands_are_parsed_with_continuations_and_output():
    block = "$ moopim run hunt \\\n    --quiet\n$ ls one\na\nb\n"
    assert list(commands(block)) == [("moopim run hunt --quiet", ""), ("ls one", "a\nb")]


def test_the_readme_shows_the_example_as_it_is():
    assert f"```python\n{(EXAMPLES / 'buffers.py').read_text(encoding='utf-8')}```" in PAGES[0].read_text(
        encoding="utf-8"
    )


def test_the_readme_shows_the_commands_of_the_demo():
    target = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = [line.strip().replace("$(BIN)/", "") for line in target[1].splitlines() if "/moopim " in line]
    block = "".join(f"{line}\n" for line in shown)
    assert len(shown) == 4
    assert f"```sh\n{block}```" in PAGES[0].read_text(encoding="utf-8")
