"""Small networks, as users write them."""

import torch
from torch import nn
from torch.nn import functional


class Chain(nn.Module):
    """Two convolutions, one with a batch norm, and a head."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 6, 3, padding=1)
        self.head = nn.Linear(6 * 4 * 4, 3)

    def forward(self, x):
        x = functional.relu(self.norm(self.a(x)), inplace=True)
        x = functional.max_pool2d(functional.relu(self.b(x)), 2)
        return self.head(x.flatten(1))


class Residual(nn.Module):
    """A residual block, an average and a head."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.a_norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.b_norm = nn.BatchNorm2d(4)
        self.shortcut = nn.Conv2d(2, 4, 1)
        self.c = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        y = torch.relu(self.a_norm(self.a(x)))
        y = torch.relu(self.shortcut(x) + self.b_norm(self.b(y)))
        y = torch.relu(self.c(y))
        return self.head(y.mean((2, 3)))


class Odd(nn.Module):
    """Grouped and depthwise layers, one that is used twice, a leaky ReLU, and one that does not run."""

    def __init__(self):
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2, padding_mode="circular")
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.twice = nn.Conv2d(8, 8, 1)
        self.same = self.twice
        self.tokens = nn.Linear(8, 5)
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        x = self.depthwise(torch.relu(self.grouped(x)))
        x = self.same(torch.relu(self.twice(functional.leaky_relu(x, 0.3))))
        return self.tokens(torch.cat([x, -x], 3).permute(0, 2, 3, 1)).amax((1, 2))


def seeded(net, *shape, images=32, dtype=torch.float32):
    """The network with random weights, far from trivial batch norms, and images for it."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.4)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=draw) * 0.3)
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=draw) + 0.5)
    return net.to(dtype).eval(), torch.randn(images, *shape, generator=draw).to(dtype)
