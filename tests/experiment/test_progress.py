"""The progress bar on a terminal."""

import io
import sys

import numpy as np
from pymoo.core.population import Population

from moopim.experiment.running import search_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class State:
    n_evaluations, n_cached = 0, 3


def shown(monkeypatch, fronts):
    """What stands on the terminal after the front has changed like this."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    with search_progress("title", 10, show=True) as show_state:
        for generation, F in enumerate(fronts, start=1):
            State.n_evaluations = 10  # of a full budget each state is shown
            algorithm = type("Optimiser", (), {"opt": Population.new("F", np.asarray(F, dtype=float))})
            show_state(generation, State, algorithm)
    return terminal.getvalue()


def test_hypervolume_in_the_box_of_the_first_front(monkeypatch):
    assert "nothing feasible yet" in shown(monkeypatch, [[[np.inf, 1.0]]])
    # First (0, 1) and (1, 0); then (0, 0), which dominates the whole box.
    text = shown(monkeypatch, [[[10.0, 40.0], [20.0, 30.0]], [[10.0, 30.0]]])
    assert "generation 2, 3 cached, hypervolume 1.0000" in text
    assert "±" not in text


def test_hypervolume_of_many_objectives_has_an_error(monkeypatch, rng):
    assert "± 0.00" in shown(monkeypatch, [rng.dirichlet(np.ones(12), 100)])
