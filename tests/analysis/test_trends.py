"""Trends of a front: counts by hand, tests against scipy's, a front with a known trend and fronts without any."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import MonteCarloMethod, PermutationMethod, chi2_contingency, mannwhitneyu

from moopim import ConfigError
from moopim.analysis import a12
from moopim.analysis.trends import CONTRAST, GENES, SECTIONS, plot_trends, trends
from moopim.experiment.frames import genes_frame
from moopim.problems.crossnas import CrossNasSpace


def random_designs(n, seed, **options):
    """Designs as a run writes them, drawn uniformly."""
    space = CrossNasSpace(**options)
    X = space.canonical(space.genome.sample(n, np.random.default_rng(seed)))
    return genes_frame(space.genome, X)


@pytest.fixture(scope="module")
def sample():
    return random_designs(600, 1, max_blocks=4)


def one(found, gene, place=""):
    return found[(found["gene"] == gene) & (found["place"] == place)].set_index("value")


def test_counts_leave_out_blocks_beyond_the_depth_and_shortcuts_of_other_blocks():
    frame = pd.DataFrame(
        {"depth": [1, 2, 2], "block_0": ["VGG", "RES", "VGG"], "block_1": ["VGG", "MVGG", "VGG"]}
        | {"weight_bits_a_0": [5, 9, 9], "weight_bits_a_1": [5, 7, 5], "weight_bits_b_0": [7, 9, 9]}
        | {"weight_bits_b_1": [5, 7, 5], "weight_bits_shortcut_0": [5, 7, 5], "weight_bits_shortcut_1": [5, 5, 5]}
        | {"weight_bits_head": [9, 5, 5]}
    )
    found = trends(frame, frame.iloc[[1]])
    assert one(found, "block", "1")[["front", "sample"]].T.to_dict("list") == {"RES": [1, 1], "VGG": [0, 2]}
    assert one(found, "block", "2")[["front", "sample"]].T.to_dict("list") == {"MVGG": [1, 1], "VGG": [0, 1]}
    # The layers are 5 7 9; 9 9 7 7 7 5; 9 9 5 5 5: their thirds 5 | 7 | 9, 9 9 | 7 7 | 7 5 and 9 9 | 5 5 | 5.
    expected = {
        "head": {"5": [0, 1], "7": [0, 0], "9": [2, 4]},
        "middle": {"5": [0, 2], "7": [2, 3], "9": [0, 0]},
        "tail": {"5": [1, 2], "7": [1, 1], "9": [0, 1]},
        # 7 against 5 and 9; 7 against 9, 9, 7 and 5; 5 against 9, 9 and 5.
        CONTRAST: {"lower": [1, 2], "equal": [0, 1], "higher": [0, 0]},
    }
    for place, counts in expected.items():
        assert one(found, "weight_bits", place)[["front", "sample"]].T.to_dict("list") == counts, place


def test_layers_of_one_architecture_are_numbered_through():
    frame = pd.DataFrame([[5, 5, 5, 9, 9, 7, 7], [9] * 7], columns=[f"activation_bits_{i}" for i in range(7)])
    found = trends(frame, frame.head(1))
    assert one(found, "activation_bits", "head")["front"].tolist() == [3, 0, 0]
    assert one(found, "activation_bits", "middle")["front"].tolist() == [0, 0, 2]
    assert one(found, "activation_bits", "tail")["front"].tolist() == [0, 2, 0]


def test_shares_differences_and_effects_by_hand(sample):
    front = sample.iloc[:50]
    found = trends(sample, front)
    circuit = one(found, "crossbar")
    share = sample["crossbar"].value_counts(normalize=True).sort_index().to_numpy()
    own = front["crossbar"].value_counts(normalize=True).reindex([32, 64, 128, 256], fill_value=0).to_numpy()
    assert circuit["sample_share"].tolist() == pytest.approx(share.tolist())
    assert circuit["difference"].tolist() == pytest.approx((own - share).tolist())
    assert circuit["effect"].iloc[0] == pytest.approx(np.abs(own - share).sum() / 2)
    depth = one(found, "depth")
    assert depth["effect"].iloc[0] == pytest.approx(2 * a12(front["depth"], sample["depth"]) - 1)
    assert set(found["gene"]) == set(GENES)
    assert found.groupby(["gene", "place"])[["front_share", "sample_share"]].sum().to_numpy() == pytest.approx(1)


def test_the_test_of_a_choice_is_that_of_scipy(sample):
    for seed, gene in enumerate(("crossbar", "adc_bits", "dac_bits")):
        front = sample.sample(25, random_state=seed)
        found = one(trends(sample, front, [gene], draws=20_000), gene)
        table = np.stack([found["front"], found["sample"] - found["front"]])
        method = MonteCarloMethod(n_resamples=20_000, rng=np.random.default_rng(seed))
        expected = chi2_contingency(table, correction=False, method=method).pvalue
        assert found["p_value"].iloc[0] == pytest.approx(expected, abs=0.015)
        assert found["test"].iloc[0] == "chi-square"


def test_the_test_of_an_order_is_that_of_scipy(sample):
    for seed in range(3):
        front = sample.sample(20, random_state=seed)
        rest = sample.drop(front.index)
        found = one(trends(sample, front, ["depth"], draws=20_000), "depth")
        method = PermutationMethod(n_resamples=5_000, rng=np.random.default_rng(seed))
        expected = mannwhitneyu(front["depth"], rest["depth"], method=method).pvalue
        assert found["p_value"].iloc[0] == pytest.approx(expected, abs=0.03)
        assert found["test"].iloc[0] == "rank sum"


def test_a_small_front_has_the_exact_p_value():
    sample = pd.DataFrame({"depth": np.arange(1, 11)})
    found = trends(sample, sample.tail(3), draws=50_000)
    expected = mannwhitneyu([8, 9, 10], np.arange(1, 8), method="exact").pvalue  # 2 of 120 draws
    assert expected == pytest.approx(2 / 120)
    assert found["p_value"].iloc[0] == pytest.approx(expected, abs=0.002)


def test_bits_are_tested_by_their_mean_in_a_design(sample):
    # The layers of a design by its own loop.
    def third(row):
        bits = []
        for block in range(row["depth"]):
            parts = ("a", "b", "shortcut") if row[f"block_{block}"] == "RES" else ("a", "b")
            bits += [row[f"weight_bits_{part}_{block}"] for part in parts]
        bits.append(row["weight_bits_head"])
        return [np.mean([bit for i, bit in enumerate(bits) if 3 * i // len(bits) == part]) for part in range(3)]

    means = np.array([third(row) for _, row in sample.iterrows()])
    front = means[:, 1] - means[:, 2] > 1
    found = trends(sample, sample[front], ["weight_bits"], draws=999)
    for i, place in enumerate(SECTIONS):
        effect = one(found, "weight_bits", place)["effect"].iloc[0]
        assert effect == pytest.approx(2 * a12(means[front, i], means[:, i]) - 1), place
    assert one(found, "weight_bits", "middle")["p_value"].iloc[0] == 0.001
    assert one(found, "weight_bits", "tail")["effect"].iloc[0] < 0


def test_a_known_trend_is_found_and_nothing_else(sample):
    chosen = (sample["block_0"] == "VGG") & (sample["crossbar"] == 256)
    found = trends(sample, sample[chosen])
    tests = found.drop_duplicates(["gene", "place"])
    assert (tests["p_holm"] >= tests["p_value"]).all()
    strong = tests[tests["p_holm"] < 0.05]
    assert list(zip(strong["gene"], strong["place"], strict=True)) == [("block", "1"), ("crossbar", "")]
    assert one(found, "block", "1").loc["VGG", ["front_share", "p_value"]].tolist() == [1, 0.0001]


def test_without_a_trend_p_values_are_uniform(sample):
    p_values = []
    for seed in range(60):
        front = sample.sample(30, random_state=seed)
        found = trends(sample, front, ["depth", "channels", "crossbar", "weight_bits"], draws=199, seed=seed)
        p_values.append(found.drop_duplicates(["gene", "place"])["p_value"])
    p_values = np.array(p_values)
    assert p_values.shape == (60, 1 + 4 + 1 + 4)
    # Within four standard errors of 600 numbers that are uniform from 0 to 1, were they independent.
    assert p_values.mean() == pytest.approx(0.5, abs=0.05)
    for level in (0.05, 0.1, 0.5, 0.9):
        assert (p_values <= level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 600))


def test_equal_designs_count_once_and_the_front_is_part_of_the_sample(sample):
    front = sample.head(30)
    once = trends(sample, front, draws=99)
    again = pd.concat([sample, sample.head(100)]).assign(cached=False, evaluation=range(700))
    pd.testing.assert_frame_equal(trends(again, front.assign(returned=True), draws=99), once)
    pd.testing.assert_frame_equal(trends(sample.iloc[30:], front, draws=99), once)


def test_the_same_seed_gives_the_same_numbers(sample):
    first, second, other = (trends(sample, sample.head(9), draws=99, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)


def test_what_is_no_choice_or_not_on_the_front_has_no_p_value(sample):
    fixed = sample.assign(crossbar=128)
    found = trends(fixed, fixed[fixed["depth"] == 1], draws=99)
    for gene, place in (("crossbar", ""), ("block", "2"), ("channels", "4")):
        assert one(found, gene, place)[["p_value", "p_holm", "effect"]].isna().all(axis=None)
    assert one(found, "block", "2")["front_share"].isna().all()
    assert one(found, "dac_bits")["p_value"].notna().all()
    whole = trends(sample, sample, draws=99)
    assert whole["p_value"].isna().all()
    assert (whole["difference"] == 0).all()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda frame: frame.head(0), {}, "the front has no designs; expected at least one"),
        (
            lambda frame: frame,
            {"columns": ["dac_bit"]},
            r"unknown gene of both frames 'dac_bit' \(did you mean 'dac_bits'",
        ),
        (lambda frame: frame[["crossbar"]], {"columns": ["block"]}, "'block'.*; allowed: crossbar"),
        (lambda frame: frame[["weight_bits_head"]].set_axis(["other"], axis=1), {}, "share no column of a gene"),
    ],
    ids=["empty", "unknown", "missing", "foreign"],
)
def test_frames_that_cannot_be_compared_are_refused(sample, change, options, message):
    with pytest.raises(ConfigError, match=message):
        trends(sample, change(sample.head(20)), **options)


def test_the_picture_shows_the_shares_and_what_is_significant(sample):
    found = trends(sample, sample[sample["dac_bits"] == 2].head(60), draws=999)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_trends(found, "a title")
        figure.draw_without_rendering()
    panels = {ax.get_title(loc="left"): ax for part in figure.subfigs for ax in part.axes if ax.axison}
    assert len(panels) == len(GENES)
    ax = panels["DAC bits"]
    # The thin bar is for all designs, the wide one for the front.
    thin = [bar.get_height() for bar in ax.patches if bar.get_width() < 0.3]
    wide = [bar.get_height() for bar in ax.patches if bar.get_width() > 0.3]
    rows = one(found, "dac_bits")
    assert thin == pytest.approx(rows["sample_share"].tolist())
    assert wide == [0, 1]
    # No p-value of 999 draws is below 0.001, and there are 20 tests.
    assert [text.get_text() for text in ax.texts] == ["p=.020"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["n=60"]
    assert len(panels["type of block"].texts) == 4
    assert [text.get_text() for text in panels["blocks"].texts] == ["n.s."]


def test_trends_without_rows_are_not_drawn():
    with pytest.raises(ConfigError, match="the frame of trends has no rows"):
        plot_trends(pd.DataFrame({"gene": []}))
