#!/usr/bin/env python3
"""Make tests/golden/layers.json: what PyTorch says of layers whose sizes and conventions can be got wrong.

    python3 scripts/golden_layers.py tests/golden/layers.json

Written with PyTorch 2.15 on a CPU, in float64. Parameters and inputs stand in the file beside the outputs, so no random
number generator has to agree. Numbers are printed with all their digits.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)


def tensor(x):
    return {"shape": list(x.shape), "values": x.flatten().tolist()}


def case(name, layer, *shape):
    """One layer with its parameters, an input and the output."""
    x = torch.randn(*shape)
    return {
        "name": name,
        "parameters": {path: tensor(p.detach()) for path, p in layer.named_parameters()},
        "input": tensor(x),
        "output": tensor(layer(x).detach()),
    }


def fans(*shape):
    """The inputs and outputs that rules for initial weights count."""
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    return {"shape": list(shape), "fan_in": fan_in, "fan_out": fan_out}


def main():
    layers = [
        case("conv1d", nn.Conv1d(3, 4, 5), 2, 3, 9),
        case("conv1d strided", nn.Conv1d(4, 6, 3, stride=2, padding=3, dilation=2, groups=2), 2, 4, 10),
        case("conv1d same", nn.Conv1d(2, 3, 4, padding="same", bias=False), 1, 2, 7),
        case("conv2d", nn.Conv2d(3, 4, 3), 2, 3, 6, 5),
        case("conv2d strided", nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=3), 2, 3, 7, 6),
        case("conv2d dilated", nn.Conv2d(2, 3, 3, dilation=2, padding="same", bias=False), 1, 2, 6, 5),
        case("conv_transpose2d", nn.ConvTranspose2d(4, 3, 3), 2, 4, 3, 4),
        case(
            "conv_transpose2d strided",
            nn.ConvTranspose2d(4, 6, (3, 2), stride=(3, 2), padding=1, output_padding=(2, 1), groups=2),
            *(1, 4, 3, 4),
        ),
    ]
    document = {"made_by": f"scripts/golden_layers.py, PyTorch {torch.__version__.split('+')[0]}", "layers": layers}
    document["fans"] = [fans(5, 3), fans(5, 3, 4), fans(6, 2, 3, 4), fans(4, 1, 3, 3)]
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
