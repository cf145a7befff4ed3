"""Public functions of the hardware models and of workloads refuse what they cannot use, in one line that names it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from refusals import check_refused

from moopim.hardware.noc import (
    LinkTraffic,
    NocParameters,
    evaluate_traffic,
    link_ends,
    load_noc,
    network_period,
    routing_matrix,
    waiting_cycles,
)
from moopim.hardware.noc.routing import hop_counts, link_groups
from moopim.hardware.planar.chip import make_chip
from moopim.hardware.planar.components import adc_area_um2, walden_power_W
from moopim.hardware.planar.digital import buffer_costs, cell_power_W, crossbar_read_ns, mux_levels
from moopim.hardware.planar.mapping import map_layers
from moopim.hardware.planar.model import break_down, evaluate_planar
from moopim.hardware.planar.placement import tile_places
from moopim.hardware.stack import (
    evaluate_idealised,
    evaluate_surrogates,
    evaluate_system,
    idealised_model,
    system_model,
)
from moopim.hardware.stack.layer_costs import copies_period
from moopim.hardware.stack.model import occupy
from moopim.hardware.stack.system import total_noise
from moopim.hardware.thermal import influence_matrix, load_thermal, temperature_rise
from moopim.hardware.thermal.columns import column_matrix
from moopim.hardware.thermal.description import die_layers
from moopim.hardware.thermal.solving import refine, temperature_map
from moopim.problems.hunt import HuntMapping
from moopim.workload import Layer, load_workload, make_table, make_workload, network_table, stack_tables

NOC, THERMAL = load_noc(), load_thermal()
MODEL, IDEALISED = system_model(load_workload("vgg11")), idealised_model(load_workload("vgg11"))
TIERS, GENES, PACE = np.zeros((3, 4), dtype=int), np.zeros((3, 11), dtype=int), np.array([0, 20, 63])
FLOWS = np.zeros(2, dtype=int)
TABLE, CHIP = network_table("alexnet"), make_chip()
LAYER = Layer("a", "conv", (-1,), 3, 4, size_in=(4, 4), size_out=(4, 4))


def traffic(case=FLOWS, source=FLOWS, target=FLOWS, rate=(0.1, 0.1), tiers=2, mesh=2, noc=NOC):
    return evaluate_traffic(tiers, mesh, case, source, target, rate, noc)


def period(busy=(1.0,), rest=(0.0,), flits=((1.0, 2.0),), packets=(1.0,), cycle=1.0):
    return network_period(busy, rest, LinkTraffic(flits, packets), NOC, cycle)


def edited(array, value):
    array = np.array(array)
    array.flat[-1] = value
    return array


def system(tiers=TIERS, genes=GENES, pace=PACE):
    return evaluate_system(MODEL, tiers, genes, pace)


def column(name, value):
    return evaluate_planar(replace(TABLE, **{name: edited(getattr(TABLE, name), value)}), CHIP)


REFUSED = {
    "node": (lambda: traffic(source=[0, 8]), r"source\[1\] is 8; expected whole numbers from 0 to 7"),
    "negative node": (lambda: traffic(target=[0, -1]), r"target\[1\] is -1"),
    "half a node": (lambda: traffic(target=[0, 0.5]), r"target\[1\] is 0.5; expected whole numbers"),
    "rate": (lambda: traffic(rate=[0.1, -0.1]), r"rate\[1\] is -0.1; expected finite numbers from 0"),
    "rate NaN": (lambda: traffic(rate=[0.1, math.nan]), r"rate\[1\] is nan"),
    "rates": (lambda: traffic(rate=[0.1] * 3), r"rate has shape \(3,\); expected \(2,\)"),
    "sources": (lambda: traffic(source=[[0, 1]]), r"source has shape \(1, 2\)"),
    "case": (lambda: traffic(case=[0, -1]), r"case\[1\] is -1"),
    "case that no memory holds": (lambda: traffic(case=[0, 10**9]), r"case\[1\] is 1000000000; expected whole numbers"),
    "tiers": (lambda: traffic(tiers=0), r"tiers is 0; expected 1, 2, ..."),
    "mesh": (lambda: traffic(mesh=2.5), r"mesh is 2.5; expected 1, 2, ..."),
    "flits of a packet": (lambda: NocParameters(1.0, 1.0, 0.0, 32.0), "packet_flits of the network is 0.0"),
    "hops": (lambda: NocParameters(1.0, math.nan, 4.0, 32.0), "hop_cycles of the network is nan"),
    "links": (lambda: link_ends(-1, 4), "tiers is -1"),
    "groups": (lambda: link_groups(1, "4"), "mesh is '4'"),
    "paths": (lambda: routing_matrix(4, 17), "has too many nodes; expected at most 1024"),
    "distances": (lambda: hop_counts(1, 10**6), "has too many nodes; expected at most 4096"),
    "utilisation": (lambda: waiting_cycles([0.5, 1.0], 4), "utilisation is 1; expected numbers below 1"),
    "busy": (lambda: period(busy=(1.0, 2.0)), r"busy has shape \(2,\); expected \(1,\)"),
    "rest": (lambda: period(rest=(math.nan,)), r"rest\[0\] is nan"),
    "flits": (lambda: period(flits=((1.0, -2.0),)), r"flits\[0, 1\] is -2.0"),
    "packets": (lambda: period(packets=("x",)), "packets holds 'x'"),
    "cycle": (lambda: period(cycle=0.0), "cycle is 0.0; expected a number > 0"),
    "workload": (lambda: system_model("vgg11"), "workload is 'vgg11'; expected a Workload"),
    "devices": (lambda: system_model(load_workload("vgg11"), devices=None), "devices is None; expected text"),
    "wear": (lambda: system_model(load_workload("vgg11"), wear="pe"), "unknown wear 'pe'; allowed: cell, tier"),
    "precision": (lambda: system_model(load_workload("vgg11"), precision="int4"), "unknown precision 'int4'"),
    "device": (lambda: system(tiers=edited(TIERS, 3)), r"tiers\[2, 3\] is 3; .* from 0 to 2"),
    "tiers of designs": (lambda: system(tiers=TIERS[:, :3]), r"tiers has shape \(3, 3\); .*\(.*, 4\)"),
    "place": (lambda: system(genes=edited(GENES, 48)), r"genes\[2, 10\] is 48; .* from 0 to 47"),
    "pace": (lambda: system(pace=edited(PACE, 64)), r"pace\[2\] is 64; expected whole numbers from 0 to 63"),
    "negative pace": (lambda: system(pace=edited(PACE, -1)), r"pace\[2\] is -1; expected whole numbers from 0 to 63"),
    "half a level": (lambda: system(pace=PACE + 0.5), r"pace\[0\] is 0.5; expected whole numbers"),
    "paces": (lambda: system(pace=PACE[:2]), r"pace has shape \(2,\); expected \(3,\)"),
    "no pace": (lambda: HuntMapping("vgg11").evaluate_mappings(TIERS, GENES), "pace is not given; expected a level"),
    "idealised place": (lambda: evaluate_idealised(IDEALISED, TIERS, edited(GENES, 48)), r"genes\[2, 10\] is 48"),
    "negative place": (lambda: evaluate_surrogates(IDEALISED, TIERS, edited(GENES, -1)), r"genes\[2, 10\] is -1"),
    "places": (lambda: evaluate_surrogates(IDEALISED, TIERS, GENES[:2]), r"genes has shape \(2, 11\); .*\(3, 11\)"),
    "occupancy": (lambda: occupy(MODEL, TIERS, GENES * 0.5 + 0.5), r"genes\[0, 0\] is 0.5; expected whole"),
    "rises": (lambda: temperature_rise(np.ones((2, 3)), np.ones((4, 4))), r"power has shape \(2, 3\); .*, 4\)"),
    "noise": (
        lambda: total_noise(np.ones((1, 64)), TIERS, np.ones((1, 64)), MODEL.devices, MODEL.stack),
        r"tiers has shape \(3, 4\); expected \(1, 4\)",
    ),
    "copies": (lambda: copies_period(*[np.ones((1, 2))] * 2, FLOWS[None, :1], np.ones((1, 3))), "tier has shape"),
    "area": (
        lambda: influence_matrix(1, 2, 1e-300, THERMAL, "full"),
        "pe_area_mm2 is 1e-300; expected a number from 1e-06",
    ),
    "area NaN": (
        lambda: influence_matrix(1, 2, math.nan, THERMAL, "full"),
        "pe_area_mm2 is nan; expected a number > 0",
    ),
    "power": (lambda: temperature_map([1.0, -1.0], 2, 1, 1.0, THERMAL), r"power\[1\] is -1.0"),
    "power NaN": (lambda: temperature_map([1.0, math.nan], 2, 1, 1.0, THERMAL), r"power\[1\] is nan"),
    "grid": (lambda: refine([1.0, 1.0], 2, 1, 1.0, THERMAL, (0,)), r"cells_per_pe_side is 0; expected 1 \.\. 16"),
    "measured": (lambda: column_matrix(1, 2, 1.0, THERMAL, "paper", np.ones((3, 3))), r"expected \(4, 4\)"),
    "columns": (lambda: column_matrix(1, 2, 1.0, THERMAL, "full", np.ones((4, 4))), "unknown thermal mode of columns"),
    "layers of a die": (lambda: die_layers(0, THERMAL), "tiers is 0"),
    "size of a buffer": (lambda: buffer_costs([1.0, math.nan]), r"size_KB of buffers\[1\] is nan"),
    "figure of merit": (lambda: walden_power_W(0.0, 6, 1.0), "walden_fJ is 0.0; expected a number > 0"),
    "ADC": (lambda: adc_area_um2(45, -1.0, 1.0), "rate_GSps is -1.0"),
    "resistance": (lambda: cell_power_W([0.0], 1e5, 0.0, 1.0), r"resistance_low_ohm\[0\] is 0.0"),
    "resistances": (lambda: cell_power_W([1.0] * 2, [2.0] * 3, 0.0, 1.0), "shapes do not broadcast: resistance_low"),
    "read": (lambda: crossbar_read_ns(-1.0, 128), "read_ns is -1.0"),
    "inputs": (lambda: mux_levels([8, -1]), r"inputs of a multiplexer\[1\] is -1"),
    "tiles": (lambda: tile_places(-1), "count of tiles is -1"),
    "mode": (lambda: evaluate_planar(TABLE, CHIP, None), "mode is None; expected one of compat, physical"),
    "table": (lambda: evaluate_planar("alexnet", CHIP), "layer table is 'alexnet'; expected a LayerTable"),
    "chip": (lambda: break_down(TABLE, None), "chip is None; expected a Chip"),
    "chips": (
        lambda: map_layers(stack_tables([TABLE] * 2), make_chip(adcs=[1, 2, 4])),
        "2 networks and 3 chips do not fit",
    ),
    "channels": (lambda: column("c_in", -1), r"c_in of a layer table\[0, .*\] is -1; expected whole numbers from 0"),
    "inputs of layers": (lambda: column("inputs", 99), r"inputs of a layer table\[0, .*\] is 99"),
    "kinds": (lambda: column("kind", 7), r"kind of a layer table\[0, .*\] is 7; expected whole numbers from 0 to 6"),
    "waiting": (lambda: evaluate_planar(replace(TABLE, waits=TABLE.kind), CHIP), "waits of a layer table holds int64"),
    "strides": (lambda: evaluate_planar(replace(TABLE, stride_h=TABLE.kind[:, 1:]), CHIP), "stride_h of a layer table"),
    "no networks": (lambda: stack_tables([TABLE, None]), "layer table is None"),
    "bits": (lambda: TABLE.with_bits(np.full((1, 3), 9), np.full((1, 4), 9)), r"broadcast: weights \(1, 3\), act"),
    "layers": (lambda: make_table([LAYER, "conv"]), "layer 1 is 'conv'; expected a Layer"),
    "network": (lambda: network_table(3), "unknown network '3'"),
    "name of a workload": (lambda: load_workload("vgg11", None), "unknown dataset 'None'"),
    "batch": (lambda: make_workload("mine", "own", 0, [LAYER]), "batch of 'mine' is 0; expected 1, 2, ..."),
    "transfers": (
        lambda: make_workload("mine", "own", 1, [LAYER._replace(inputs=(3,))]),
        r"layer 0 \(a\) reads layer 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_public_functions_refuse_what_they_cannot_use(case):
    check_refused(*REFUSED[case])


def test_lists_and_other_types_of_integers_are_taken():
    one = system()
    for change in (np.ndarray.tolist, lambda array: array.astype(np.uint8), lambda array: array.astype(np.float64)):
        for name, values in system(change(TIERS), change(GENES), change(PACE)).items():
            assert np.array_equal(values, one[name], equal_nan=True)
    assert traffic(rate=[0, 1]).latency.shape == (1,)
