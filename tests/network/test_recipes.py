import tomllib
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR

from moopim.constants import constant
from moopim.errors import ConfigError
from moopim.network.recipes import Recipe, load_recipe, recipe_names

TABLES = tomllib.loads((files("moopim.network") / "data" / "recipes.toml").read_text(encoding="utf-8"))


def figures():
    for name, table in TABLES.items():
        for field, entry in table.items():
            if not isinstance(entry, str):
                values = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
                yield from ((f"{name} {field}", {**entry, "value": value}) for value in values)


def scheduled(rate, kind, steps, **options):
    """Learning rates of one of torch's schedulers."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = kind(optimiser, **options)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(("name", "entry"), list(figures()))
def test_every_number_has_unit_kind_and_source(name, entry):
    assert constant(name, entry) == entry["value"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_built_in_recipe_ends_with_a_finite_rate(name):
    rates = load_recipe(name).learning_rates(steps_per_epoch=7)
    assert 0 < rates[-1] < rates.max() == pytest.approx(load_recipe(name).learning_rate)


def test_the_supernet_of_crossnas_has_the_rates_of_its_section_4_2():
    rates = load_recipe("crossnas-supernet").learning_rates(steps_per_epoch=390)
    assert len(rates) == 390_000
    expected = np.repeat([0.1, 0.02, 0.004, 0.0008], 250 * 390)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_the_float_network_of_crossnas_has_the_rates_of_its_section_4_2():
    rates = load_recipe("crossnas-float").learning_rates(steps_per_epoch=1)
    np.testing.assert_allclose(rates, scheduled(0.1, MultiStepLR, 200, milestones=[60, 120, 160], gamma=0.2))


def test_quantisation_aware_training_of_crossnas_divides_by_five_every_forty_epochs():
    rates = load_recipe("crossnas-qat").learning_rates(steps_per_epoch=2)
    np.testing.assert_allclose(rates[[0, 79, 80, 159, 160]], 8e-4 / np.array([1, 1, 5, 5, 25]))


def test_the_cosine_is_that_of_torch():
    recipe = Recipe("sgd", 0.3, steps=50, schedule="cosine")
    np.testing.assert_allclose(recipe.learning_rates(7), scheduled(0.3, CosineAnnealingLR, 50, T_max=50), atol=1e-15)


def test_warm_up_rises_linearly_to_the_rate():
    recipe = Recipe("sgd", 0.3, steps=50, warm_up=0.2)
    expected = scheduled(0.3, LinearLR, 50, start_factor=0.1, end_factor=1, total_iters=9)
    np.testing.assert_allclose(recipe.learning_rates(7), expected)


def test_the_cosine_starts_where_warm_up_ends():
    rates = Recipe("sgd", 1, steps=20, warm_up=0.25, schedule="cosine").learning_rates(7)
    assert rates[4] == rates[5] == 1
    assert (np.diff(rates[:5]) > 0).all()
    assert (np.diff(rates[5:]) < 0).all()


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0.05), (1, 0.99), (3, 0.9), (1, 0)])
def test_a_training_that_ends_in_its_warm_up_ends_at_the_rate(steps, warm_up):
    """Rates by hand: (k + 1) / steps of the rate at step k; a single step has all of it, whatever the schedule."""
    rates = Recipe("sgd", 0.3, steps=steps, warm_up=warm_up, schedule="cosine").learning_rates(1)
    np.testing.assert_allclose(rates, 0.3 * (1 + np.arange(steps)) / steps, rtol=1e-15)


@pytest.mark.parametrize("name", recipe_names())
def test_built_in_recipes_have_finite_rates_down_to_a_single_step(name):
    for epochs in (1, 2):
        rates = load_recipe(name).scaled(epochs).learning_rates(1)
        assert len(rates) == epochs
        assert (rates > 0).all()
        assert (rates <= load_recipe(name).learning_rate).all()


def test_a_scaled_recipe_has_the_same_rates_at_the_same_share_of_the_training():
    recipe = load_recipe("crossnas-float")
    assert (recipe.scaled(20).learning_rates(100) == recipe.learning_rates(10)).all()
    assert recipe.scaled(1).drops == pytest.approx((0.3, 0.6, 0.8))


def test_a_recipe_in_steps_can_be_scaled_to_epochs():
    recipe = load_recipe("digits-supernet").scaled(3)
    assert (recipe.epochs, recipe.steps, len(recipe.learning_rates(7))) == (3, None, 21)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": "sdg"}, "unknown optimiser of a recipe 'sdg' (did you mean 'sgd'?); allowed: sgd, adam, adamw"),
        ({"schedule": "linear"}, "unknown schedule of a recipe 'linear'; allowed: constant, step, cosine"),
        ({"learning_rate": 0}, "learning_rate of a recipe is 0; expected a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate of a recipe is nan"),
        ({"learning_rate": float("inf")}, "learning_rate of a recipe is inf"),
        ({"learning_rate": "0.1"}, "learning_rate of a recipe is '0.1'"),
        ({"weight_decay": -1}, "weight_decay of a recipe is -1; expected a finite number from 0"),
        ({"drop_factor": 0.5}, "drop_factor of a recipe is 0.5; expected a finite number from 1"),
        ({"warm_up": 1}, "warm_up of a recipe is 1; expected a number from 0 to below 1"),
        ({"momentum": 1.5}, "momentum of a recipe is 1.5; expected a number from 0 to below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing of a recipe is -0.1"),
        ({"batch": 0}, "batch of a recipe is 0 images; expected a whole number from 1 images"),
        ({"interval": 1.5}, "interval of a recipe is 1.5 epochs; expected a whole number from 1 epochs"),
        ({"interval": True}, "interval of a recipe is True"),
        ({"epochs": 0}, "epochs of a recipe is 0 epochs; expected a whole number from 1 epochs"),
        ({"epochs": None}, "epochs=None, steps=None of a recipe; expected one of the two"),
        ({"steps": 5}, "epochs=3, steps=5 of a recipe; expected one of the two"),
        ({"schedule": "step"}, "schedule 'step' with drops=(); 'step' needs drops, no other does"),
        ({"drops": (1,)}, "schedule 'constant' with drops=(1,); 'step' needs drops, no other does"),
        ({"schedule": "step", "drops": (2, 1)}, "drops=(2, 1) of a recipe are not allowed; expected rising epochs"),
        ({"schedule": "step", "drops": (0,)}, "drops=(0,) of a recipe are not allowed"),
        ({"schedule": "step", "drops": (1,), "epochs": None, "steps": 9}, "drops are epochs, the length of the recipe"),
        ({"optimiser": "adam", "momentum": 0.9}, "momentum=0.9 is for the optimiser 'sgd', not 'adam'"),
    ],
)
def test_what_a_recipe_refuses(changes, message):
    with pytest.raises(ConfigError) as error:
        Recipe(**({"optimiser": "sgd", "learning_rate": 0.1, "epochs": 3} | changes))
    assert message in str(error.value)


def test_an_unknown_recipe_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown recipe 'digits-supernets' \(did you mean 'digits-supernet'\?\)"):
        load_recipe("digits-supernets")
