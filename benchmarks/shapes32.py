"""How hard the synthetic set shapes32 is: accuracies of plain networks that are trained on it alone.

    python benchmarks/shapes32.py [--quick] [--json FILE]

Networks of four stages of 3x3 convolutions, with pooling between the stages, are trained for 10 epochs by the recipe
`shapes32-float`, without augmentation, at the default difficulty. Accuracies are those of the 2,000 test images.
"""

import argparse
import json
from pathlib import Path

from torch import nn

from moopim.network.accuracy import accuracy
from moopim.network.blocks import initialise
from moopim.network.datasets import load_data
from moopim.network.training import fit

STAGES, EPOCHS, SEED = 4, 10, 1


def plain_network(channels: int, convolutions: int, classes: int) -> nn.Module:
    """Stages of convolutions with batch norm and ReLU, the mean over the feature map, and a linear layer."""
    layers: list[nn.Module] = []
    c_in = 3
    for stage in range(STAGES):
        for _ in range(convolutions):
            norm = nn.BatchNorm2d(channels)
            layers += [nn.Conv2d(c_in, channels, 3, padding=1, bias=False), norm, nn.ReLU(inplace=True)]
            c_in = channels
        if stage < STAGES - 1:
            layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    initialise(network, SEED)
    return network


def main() -> None:
    """Prints the numbers and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the narrowest networks only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as one flat JSON object")
    options = parser.parse_args()
    data = load_data("shapes32")
    numbers: dict[str, float] = {}
    print(f"{data.name} (synthetic), {len(data.train)} training images: accuracy on the test images", flush=True)
    for channels in (16,) if options.quick else (16, 32, 64):
        for convolutions in (1, 2):
            network = plain_network(channels, convolutions, data.classes)
            fit(network, data, "shapes32-float", epochs=EPOCHS, seed=SEED, channels_last=True)
            found = accuracy(network, data.test)
            numbers[f"channels_{channels}_convolutions_{STAGES * convolutions}"] = found
            print(f"  {channels} channels, {STAGES * convolutions} convolutions: {found:.3f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
