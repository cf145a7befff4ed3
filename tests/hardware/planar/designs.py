"""Random designs of the planar chip in the JSON schema 1 of the reference, wider than the reference draws them.

Maps need not be square, sizes are odd, kernels 1 to 7 with any stride and padding, layers read concatenations of
several producers or the image again, sums have two or three inputs (the image, other sums and one layer twice among
them), a head is a chain of fully connected layers with a shortcut, or there is none. Every layer but the last has a
consumer, a kernel fits into a crossbar, and the grid holds all tiles; for a design that does not fit, set its
`hw["side"]` to 1.
"""

from typing import NamedTuple

from hypothesis import strategies as st

# Driver area (um2), node of the multiplexers (nm), resistances (ohm), read voltage (V).
PROFILES = {
    "cur": {"drv": 1150.0, "nm_t": 130, "rl": 1e4, "rh": 1e6, "v": 0.15},
    "paper": {"drv": 0.0, "nm_t": 65, "rl": 3333.0, "rh": 1e7, "v": 0.5},
}
# (bits, choice): those of the reference first, then the other entries that are sound.
ADCS = [(6, 6), (8, 5), (4, 7), (10, 1), (8, 2), (8, 3), (6, 4), (1, 8)]
DACS = [(1, 1), (2, 2), (3, 3), (4, 4), (6, 5)]


def random_design(rng):
    """Draws a design.

    Args:
        rng: A NumPy generator.

    Returns:
        The design as a dict; equal seeds give equal designs.
    """
    return _design(lambda low, high: int(rng.integers(low, high, endpoint=True)))


@st.composite
def designs(draw):
    """Strategy for designs; it shrinks to few layers, small numbers and the first options."""
    return _design(lambda low, high: draw(st.integers(low, high)))


class Map(NamedTuple):
    """What a layer, or the image, puts out."""

    source: int
    channels: int
    h: int
    w: int
    bits: int


def _design(number):
    draw = _Draw(number)
    hw = _hardware(draw)
    layers = _Network(draw, hw["xbar"]).grow()
    return {"schema": 1, "classes": layers[-1]["cout"], "net": "random", "layers": layers, "hw": hw}


class _Draw:
    """Draws whole numbers with `number(low, high)`, both ends included."""

    def __init__(self, number):
        self.number = number

    def pick(self, options):
        return options[self.number(0, len(options) - 1)]


def _hardware(draw):
    profile = draw.pick(["cur", "paper"])
    adc_bits, adc_choice = draw.pick(ADCS)
    dac_bits, dac_choice = draw.pick(DACS)
    return {
        "profile": profile,
        "group_num": draw.pick([1, 8, 2, 3, 4, 5, 16]),
        "adc_num": draw.pick([128, 4, 1, 3, 16, 100]),
        "dac_num": draw.pick([128, 64, 1, 7, 32]),
        "dev_area": draw.pick([1.44, 0.5]),
        **PROFILES[profile],
        "t_dev": draw.pick([3.16, 10.0]),
        "pe": draw.pick([4, 1, 2, 3, 6, 9, 16]),
        "side": draw.pick([128, 129, 160]),
        "noc": draw.pick([20.0, 7.5]),
        "intra": draw.pick([1024.0, 100.0]),
        "xbar": draw.pick([256, 128, 64, 32, 16, 25, 49, 100, 9]),
        "adc_bits": adc_bits,
        "adc_choice": adc_choice,
        "dac_bits": dac_bits,
        "dac_choice": dac_choice,
    }


class _Network:
    """The layers of a network, drawn one after the other."""

    def __init__(self, draw, X):
        self.draw = draw
        self.kernels = [k for k in (1, 3, 5, 7) if k * k <= X]
        self.layers = []
        self.unread = {}

    def grow(self):
        number, pick = self.draw.number, self.draw.pick
        image = Map(-1, number(1, 4), number(1, 13), number(1, 13), number(1, 10))
        maps = [image, self.conv([image])]
        for _ in range(number(0, 4)):
            x = maps[-1] if number(0, 3) else pick(maps)
            maps.append(pick([self.conv, self.pool, self.residual, self.concat])([x]))
        if len(self.unread) > 1 or not number(0, 3):
            self.head()
        return self.layers

    def add(self, kind, inputs, **more):
        for x in inputs:
            self.unread.pop(x.source, None)
        first = inputs[0]
        channels = sum(x.channels for x in inputs)
        layer = {"type": kind, "in": [x.source for x in inputs], "cin": channels, "cout": channels}
        layer |= {"k": 0, "s": 0, "p": 0, "h": first.h, "w": first.w, "oh": first.h, "ow": first.w}
        layer |= {"ib": first.bits, "wb": 0, "ob": first.bits} | more
        self.layers.append(layer)
        out = Map(len(self.layers) - 1, layer["cout"], layer["oh"], layer["ow"], layer["ob"])
        self.unread[out.source] = out
        return out

    def bits(self, inputs):
        """Widths of a layer with weights; its input width is not always that of its producer."""
        number = self.draw.number
        return {"ib": self.draw.pick([inputs[0].bits, number(1, 10)]), "wb": number(2, 9), "ob": number(1, 10)}

    def window(self, inputs, k, s, p):
        h, w = inputs[0].h, inputs[0].w
        return {"k": k, "s": s, "p": p, "oh": (h + 2 * p - k) // s + 1, "ow": (w + 2 * p - k) // s + 1}

    def conv(self, inputs):
        k, s = self.draw.pick(self.kernels), self.draw.number(1, 3)
        p = self.draw.number(0, k) if k > 1 else 0
        if min(inputs[0].h, inputs[0].w) + 2 * p < k:
            p = k // 2
        cout = self.draw.number(1, 40)
        return self.add("conv", inputs, cout=cout, **self.window(inputs, k, s, p), **self.bits(inputs))

    def branch(self, x, cout):
        """A convolution that keeps the size of the map."""
        k = self.draw.pick(self.kernels)
        return self.add("conv", [x], cout=cout, **self.window([x], k, 1, k // 2), **self.bits([x]))

    def pool(self, inputs):
        k = self.draw.number(1, min(inputs[0].h, inputs[0].w))
        s, p = self.draw.number(1, k), self.draw.number(0, k // 2)
        return self.add("pool", inputs, **self.window(inputs, k, s, p))

    def concat(self, inputs):
        (x,) = inputs
        parts = [x, self.branch(x, self.draw.number(1, 20))]
        return self.draw.pick([self.conv, self.pool])(parts)

    def sum_up(self, inputs):
        channels = inputs[0].channels
        return self.add("sum", inputs, cin=channels, cout=channels)

    def residual(self, inputs):
        (x,) = inputs
        inner = self.branch(x, x.channels)
        if self.draw.number(0, 1):
            inner = self.branch(inner, x.channels)
        shortcut = self.branch(x, x.channels) if self.draw.number(0, 1) else x
        form = self.draw.pick(["two", "three", "twice", "sums"])
        if form == "three":
            return self.sum_up([shortcut, inner, self.branch(x, x.channels)])
        if form == "twice":
            return self.sum_up([inner, inner, shortcut])
        out = self.sum_up([shortcut, inner])
        return self.sum_up([out, self.sum_up([inner, shortcut])]) if form == "sums" else out

    def head(self):
        """Fully connected layers, the first of which reads all that has no consumer yet."""
        inputs = list(self.unread.values())
        x = self.fc(inputs, sum(x.channels * x.h * x.w for x in inputs))
        for _ in range(self.draw.number(0, 2)):
            y = self.fc([x], x.channels, self.draw.pick([x.channels, self.draw.number(1, 90)]))
            x = self.sum_up([y, x]) if y.channels == x.channels else y

    def fc(self, inputs, features, cout=None):
        cout = cout or self.draw.number(1, 90)
        return self.add("fc", inputs, cin=features, cout=cout, h=1, w=1, oh=1, ow=1, **self.bits(inputs))
