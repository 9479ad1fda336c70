#!/usr/bin/env python3
"""Make tests/golden/losses.json: what PyTorch says of the losses and of initial weights.

    python3 scripts/golden_losses.py tests/golden/losses.json

Written with PyTorch 2.15 on a CPU, in float64. Inputs stand in the file beside the values and gradients, so no random
number generator has to agree. Numbers are printed with all their digits.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)


def case(loss, label, input, target):
    """One loss with its gradient by the input."""
    x = input.clone().requires_grad_()
    y = getattr(F, loss)(x, target)
    y.backward()
    return {
        "loss": loss,
        "label": label,
        "shape": list(input.shape),
        "input": input.flatten().tolist(),
        "target": target.flatten().tolist(),
        "value": y.item(),
        "gradient": x.grad.flatten().tolist(),
    }


def main():
    losses = [
        case("mse_loss", "vector", torch.randn(5), torch.randn(5)),
        case("mse_loss", "matrix", torch.randn(3, 4), torch.randn(3, 4)),
        case("mse_loss", "far out", torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0])),
        case("cross_entropy", "matrix", torch.randn(4, 3), torch.tensor([0, 2, 1, 1])),
        case("cross_entropy", "wide", 5 * torch.randn(2, 10), torch.tensor([9, 0])),
        case("cross_entropy", "far out", torch.tensor([[1e4, -1e4], [1e4, -1e4]]), torch.tensor([0, 1])),
        case("binary_cross_entropy_with_logits", "hard targets", torch.randn(6), torch.tensor([0.0, 1, 1, 0, 1, 0])),
        case("binary_cross_entropy_with_logits", "soft targets", 3 * torch.randn(2, 3), torch.rand(2, 3)),
        case("binary_cross_entropy_with_logits", "zero scores", torch.zeros(3), torch.tensor([0.0, 1, 0.25])),
        case(
            "binary_cross_entropy_with_logits",
            "far out",
            torch.tensor([1e4, -1e4, 1e4, -1e4, 40.0, -40.0]),
            torch.tensor([1.0, 0, 0, 1, 1, 0]),
        ),
    ]
    gains = {name: torch.nn.init.calculate_gain(name) for name in ("linear", "sigmoid", "tanh", "relu", "selu")}
    gains["leaky_relu 0.2"] = torch.nn.init.calculate_gain("leaky_relu", 0.2)
    document = {"made_by": f"scripts/golden_losses.py, PyTorch {torch.__version__.split('+')[0]}", "gains": gains}
    document["losses"] = losses
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
