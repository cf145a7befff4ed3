"""Graph traffic written out for one design at a time: every packet walks its way, link by link.

An independent second implementation; of the package it takes the names of the links only.
"""

from moopim.hardware.noc import link_ends

FLIT, PACKET = 128, 4


def walk(mesh, source, target):
    """Links on the way from a node to another, as pairs of nodes."""
    here, there = ([n % mesh, n // mesh % mesh, n // mesh**2] for n in (source, target))
    links = []
    for axis, step in enumerate((1, mesh, mesh**2)):
        while here[axis] != there[axis]:
            sign = 1 if there[axis] > here[axis] else -1
            node = here[0] + mesh * here[1] + mesh**2 * here[2]
            links.append((node, node + sign * step))
            here[axis] += sign
    return links


def walk_design(workload, bits, stack, occupancy, line, design):
    """Flits over each link and packets of one design."""
    mesh, pes = stack.mesh, stack.pes_per_tier
    flits = dict.fromkeys(map(tuple, link_ends(stack.tiers, mesh).tolist()), 0.0)
    packets = 0.0

    def node(tier, place):
        y, along = divmod(place, mesh)
        return int(tier) * pes + mesh * y + (along if y % 2 == 0 else mesh - 1 - along)

    at, columns = {}, {}
    for place in range(len(workload)):
        layer = line.layer[design, place]
        tier = occupancy.forward[design, line.tier[design, place]]
        start, extent = line.start[design, place], line.extent[design, place]
        for q in range(4):
            at[layer, q] = node(tier, min(int(start + (q + 0.5) / 4 * extent), pes - 1))
        # Share of the layer on each PE that it covers.
        for pe in range(pes):
            share = max(0.0, min(start + extent, pe + 1) - max(start, pe)) / extent
            columns[layer, pe] = (node(tier, pe), share)

    def send(links, amount, arrivals):
        nonlocal packets
        for link in links:
            flits[link] += amount / FLIT
        packets += amount / FLIT / PACKET * arrivals

    for producer, volume, consumers in workload.transfers:
        for q in range(4):
            source, part = at[producer, q], volume * bits / 4
            targets = {at[consumer, q] for consumer in consumers} - {source}
            send({link for target in targets for link in walk(mesh, source, target)}, part, len(targets))
            for consumer in consumers:
                back = walk(mesh, at[consumer, q], source)
                send(back, part, bool(back))
    for layer in range(len(workload)):
        activations = bits * workload.activations_out[layer]
        weights = 32 * workload.weights[layer] / workload.batch
        for pe in range(pes):
            here, share = columns[layer, pe]
            there = here % pes + pes * int(occupancy.bp[design])
            send(walk(mesh, here, there), share * activations, 1)
            send(walk(mesh, there, here), share * (activations + weights), 1)
    return flits, packets
