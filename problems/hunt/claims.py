"""What HuNT (Ogbogu et al., IEEE TCAD 2024) claims, beside what the two factor sets give; nothing is asserted."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from moopim.hardware.stack.parameters import FACTOR_SETS
from moopim.hardware.thermal import temperature_rise
from moopim.problems.hunt.baselines import baseline_model
from moopim.problems.hunt.comparison import SEARCHES, baseline_frame, ratios
from moopim.problems.hunt.mapping import HuntMapping
from moopim.problems.hunt.placement import placement
from moopim.problems.hunt.published import published_layers, published_peak
from moopim.problems.hunt.search import TierOrderMapping, search
from moopim.problems.hunt.selection import GOALS, LIMIT, select, selected_text
from moopim.problems.hunt.tables import UNITS, claim_text, markdown_table
from moopim.problems.hunt.tier_orders import REFERENCE_ORDER, farthest_share, is_heterogeneous, order_losses

__all__ = ["claims_page", "pool_claims", "search_claims"]

_COLUMNS = ("claim", *FACTOR_SETS, "paper")
_WATTS = 95.0  # power at which the stack reaches about the peak that the paper gives
_SEARCHED = "ResNet34"


def pool_claims() -> pd.DataFrame:
    """Claims about architectures, on pools of arrays; no search, so the same numbers every time.

    Returns:
        One row per claim: ``claim``, ``physical``, ``calibrated`` and ``paper``, as text.
    """
    frame = baseline_frame()
    rows = [
        _row(claim_text(claim), _paper(claim), [f"{claim[name]:.3g}" for name in FACTOR_SETS])
        for _, claim in ratios(frame).iterrows()
    ]
    for goal in GOALS:
        text = f"networks on which RRFS has the best {UNITS[goal]}"
        rows.append(_row(text, "5 of 5", _networks(frame, goal, "RRFS")))
    plain = frame[frame["architecture"].isin(["SSSS", "RRRS", "FFFS"])]
    text = "networks on which FFFS is hotter than RRRS and SSSS"
    rows.append(_row(text, "ResNet34 named", _networks(plain, "peak_K", "FFFS")))
    text = f"hottest PE with {_WATTS:g} W, evenly on the stack (K)"
    rows.append(_row(text, f"{published_peak():g}, power not given", [_even_peak(name) for name in FACTOR_SETS]))
    text = f"place of {REFERENCE_ORDER} among the 32 orders of one SRAM tier by loss, and the worst order ({_SEARCHED})"
    places = [_place(order_losses(_SEARCHED, factors=name)) for name in FACTOR_SETS]
    rows.append(_row(text, f"1, {REFERENCE_ORDER}", places))
    return pd.DataFrame(rows)


def search_claims(evaluations: int = 5_000, seed: int = 1) -> pd.DataFrame:
    """Claims about designs that a search finds; the numbers depend on its budget and seed.

    Args:
        evaluations: Designs that each search may ask for.
        seed: Seed of the searches.

    Returns:
        One row per claim, as from `pool_claims`.

    Raises:
        ConfigError: If a number is not allowed.
    """
    rows = []
    for network, bp_tier in product((_SEARCHED, "VGG16"), SEARCHES.values()):
        problems = [HuntMapping(network, factors=name, bp_tier=bp_tier) for name in FACTOR_SETS]
        fronts = [search(problem, evaluations, seed) for problem in problems]
        if (network, bp_tier) == (_SEARCHED, "free"):
            text = f"heterogeneous designs on the front whose farthest tier is SRAM ({network}, free)"
            rows.append(_row(text, "all", [_farthest(front) for front in fronts]))
        for goal in GOALS:
            text = f"best {UNITS[goal]} with at most 1 % loss ({network}, {bp_tier})"
            rows.append(_row(text, "RRFS", [selected_text(front, goal) for front in fronts]))
    for published, runs in published_layers().groupby("workload"):
        network = str(published)
        mapped = [_layers(network, name, evaluations, seed) for name in FACTOR_SETS]
        for first, last, tier in runs[["first", "last", "tier"]].to_numpy().tolist():
            text = f"layers {first}-{last} of {network} on tier {tier} of the best RRFS with at most 1 % loss"
            rows.append(_row(text, "most", [_share_on(layers, first, last, tier) for layers in mapped]))
    return pd.DataFrame(rows)


def claims_page(evaluations: int = 5_000, seed: int = 1) -> str:
    """Writes all claims as a page in Markdown.

    Args:
        evaluations: Designs that each search may ask for.
        seed: Seed of the searches.

    Returns:
        The page.

    Raises:
        ConfigError: As `search_claims`.
    """
    searches, pools = (  # the searches first: they check the numbers that were given
        markdown_table(_COLUMNS, frame[list(_COLUMNS)].to_numpy().tolist())
        for frame in (search_claims(evaluations, seed), pool_claims())
    )
    return _PAGE.format(pools=pools, searches=searches, evaluations=f"{evaluations:,}", seed=seed)


def _row(claim: str, paper: str, values: Sequence[str]) -> dict[str, str]:
    return {"claim": claim, **dict(zip(FACTOR_SETS, values, strict=True)), "paper": paper}


def _paper(claim: pd.Series) -> str:
    less = "below " if claim["name"] == "loss_RRFS" else ""
    return f"{less}{claim['value']:g} ({claim['source'].replace('section ', '').partition(':')[0]})"


def _networks(frame: pd.DataFrame, column: str, architecture: str) -> list[str]:
    """On how many networks an architecture has the largest value, by factor set."""
    best = frame.loc[frame.groupby(["set", "workload"])[column].idxmax()].set_index("set")["architecture"]
    return [f"{(best[name] == architecture).sum()} of {len(best[name])}" for name in FACTOR_SETS]


def _even_peak(factors: str) -> str:
    model = baseline_model(_SEARCHED, factors=factors)
    power = np.full((1, model.stack.pes), _WATTS / model.stack.pes)
    return f"{model.ambient_K + temperature_rise(power, model.influence).max():.0f}"


def _place(losses: pd.DataFrame) -> str:
    place = losses.index[losses["tiers"] == REFERENCE_ORDER][0] + 1
    return f"{place}, {losses['tiers'].iloc[0]}"


def _farthest(front: pd.DataFrame) -> str:
    return f"{100 * farthest_share(front):.0f} % of {is_heterogeneous(front['tiers']).sum()}"


def _layers(network: str, factors: str, evaluations: int, seed: int) -> pd.DataFrame | None:
    """Where the layers of the selected mapping lie; None where no mapping is selected."""
    problem = TierOrderMapping("RRFS", network, factors=factors)
    front = search(problem, evaluations, seed)
    return placement(problem, select(front)) if (front["loss"] <= LIMIT).any() else None


def _share_on(layers: pd.DataFrame | None, first: int, last: int, tier: int) -> str:
    if layers is None:
        return "none"
    asked = layers[layers["layer"].between(first, last)]
    return f"{(asked['tier'] == tier).sum()} of {len(asked)}"


_PAGE = """\
# HuNT's claims and what the model gives

`moopim hunt claims` writes this page: what the paper (Ogbogu et al., IEEE TCAD 2024) states, beside what the
[model](hunt.md) gives with the physical and with the calibrated factors. All numbers are for CIFAR-10. A tier order
such as RRFS names the devices from the heat sink outwards. No row is an assertion of this package.

The calibrated factors were fitted to many of these very numbers: that they come near them shows that such factors
exist, and is no evidence for the paper. The physical factors were not fitted, and do not reach the published ratios.

## Architectures

Each on pools of arrays: a layer may use the arrays of all forward tiers of its device, its load is even over them,
communication is left out. Where a tier order has two forward devices, layers go where energy times period is least.
Temperatures are those of the even load. `moopim hunt baselines` prints these numbers network by network.

Losses of accuracy put two scales on eqs 6-7, which the paper leaves open. The scales are pinned so that, over the five
networks, the worst loss is 2.5 % on RRRS and 4 % on FFFS; these two rows hold by calibration, the others follow.

"Best network" is the largest of the five, "mean" their mean. The numbers of the paper carry the section that has them.

{pools}

## Designs of a search

Of AMOSA on placed layers with communication, {evaluations} evaluations, seed {seed}. In the searches called "free"
any tier that can may serve back-propagation, in those called "farthest" only the tier farthest from the sink. Designs
are selected as in the paper: of the front, those that lose at most 1 % of accuracy; of these, the most efficient.
On another processor, rounding may lead a search elsewhere; other budgets and seeds do.

{searches}

## Why some cannot hold together

RRFS can beat RRRS and FFFS by 1.3 and 1.5 on one network only if its devices differ more in speed, layer by layer,
than array geometry and activation writes make them differ, so the two maxima belong to different networks. A tenfold
lead over SSSS needs most of SSSS's energy to be static. The lead over HyperX comes with a policy that keeps many layers
on SRAM, not with its tiers: the same tiers with a free choice lose much less. A back-propagation tier farthest from the
sink is farther on average from the forward tiers than one in the middle, so communication (eqs 4 and 11) speaks against
it. Losses of 2.5 % on RRRS and 4 % on FFFS leave more than 1 % for RRFS, since the noise of its layers on either device
is of the same size. The paper also differs from itself: over FFFS it has 2.6 and 3, over heterogeneous rivals up to 3.5
and 2.4 or 4.5 and 3.2, and ReRAM stands 10^8 or 10^12 writes.
"""
