#!/usr/bin/env python3
"""Make tests/golden/normalization.json: what PyTorch's layers that normalise say, and what they learn of their batches.

    python3 scripts/golden_normalization.py tests/golden/normalization.json

Written with PyTorch 2.15 on a CPU. Inputs stand in the file beside the results, so no random number generator has to
agree. Numbers are printed with all their digits.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn

LAYERS = {
    "BatchNorm1d(3)": [(6, 3), (2, 3), (5, 3)],
    "BatchNorm1d(3, momentum=None)": [(2, 3, 4), (1, 3, 5), (4, 3, 1)],
    "BatchNorm2d(3)": [(2, 3, 2, 3), (3, 3, 3, 3), (1, 3, 1, 2)],
    "BatchNorm2d(3, momentum=None)": [(2, 3, 2, 3), (3, 3, 3, 3), (1, 3, 1, 2), (2, 3, 2, 2)],
    "BatchNorm2d(3, eps=0.01, momentum=0.3, affine=False)": [(2, 3, 2, 3), (3, 3, 3, 3)],
    "BatchNorm2d(3, track_running_stats=False)": [(2, 3, 2, 3)],
    "LayerNorm((2, 3))": [(4, 2, 3)],
    "RMSNorm(6)": [(4, 6)],
    "GroupNorm(2, 6)": [(2, 6, 2, 2)],
    "InstanceNorm2d(3)": [(2, 3, 2, 3)],
}


def numbers(x):
    return {"shape": list(x.shape), "data": x.detach().flatten().tolist()}


def case(expression, shapes, dtype):
    """A layer on a batch after the other, in training, and then on the first of them in evaluation."""
    layer = eval(f"nn.{expression}").to(dtype)
    batches = [(3 * torch.randn(shape, dtype=torch.float64) + 1).to(dtype) for shape in shapes]
    trained = [layer(x) for x in batches]
    layer.eval()
    return {
        "layer": expression,
        "dtype": str(dtype).removeprefix("torch."),
        "batches": [numbers(x) for x in batches],
        "trained": [numbers(y) for y in trained],
        "state": {name: numbers(x) for name, x in layer.state_dict().items()},
        "evaluated": numbers(layer(batches[0])),
    }


def main():
    torch.manual_seed(7)
    document = {"made_by": f"scripts/golden_normalization.py, PyTorch {torch.__version__.split('+')[0]}"}
    pairs = [(layer, dtype) for layer in LAYERS.items() for dtype in (torch.float32, torch.float64)]
    document["cases"] = [case(*layer, dtype) for layer, dtype in pairs]
    Path(sys.argv[1]).write_text(json.dumps(document) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
