#!/usr/bin/env python3
"""Make tests/golden/losses.json: what PyTorch says of the losses and of initial weights.

    python3 scripts/golden_losses.py tests/golden/losses.json

Written with PyTorch 2.15 on a CPU, in float64. Inputs stand in the file beside the values and gradients, so no random
number generator has to agree. Numbers are printed with all their digits.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)


INTEGERS = torch.int64


def plain(x):
    """Numbers as JSON has them; what is not finite as a word."""
    return [n if math.isfinite(n) else str(n) for n in x.flatten().tolist()]


def tensor(x):
    return {"shape": list(x.shape), "type": "i64" if x.dtype == INTEGERS else "f64", "data": plain(x)}


def case(loss, label, *operands, smooth=True, wrt=None, **options):
    """One loss, reduced in each way, with its gradients by all operands of floating point or those of `wrt`. Elements
    of losses that are not reduced get the cotangents 1, 9/8, 10/8, … `smooth`: differences tell the derivative."""
    results = {}
    for reduction in ["mean", "sum", "none"] + ["batchmean"] * (loss == "kl_div"):
        floats = [k for k, x in enumerate(operands) if x.dtype != INTEGERS] if wrt is None else wrt
        x = [t.clone().requires_grad_() if k in floats else t for k, t in enumerate(operands)]
        y = getattr(F, loss)(*x, reduction=reduction, **options)
        cotangent = 1 + torch.arange(y.numel()).reshape(y.shape) / 8
        gradients = torch.autograd.grad(y, [x[k] for k in floats], cotangent)
        results[reduction] = {"value": tensor(y.detach()), "gradients": [plain(g) for g in gradients]}
    options = {name: tensor(x) if torch.is_tensor(x) else x for name, x in options.items()}
    if options.get("p") == math.inf:
        options["p"] = "inf"
    operands = [tensor(x) for x in operands]
    known = {"loss": loss, "label": label, "smooth": smooth, "wrt": floats, "operands": operands, "options": options}
    return known | {"results": results}


def far_and_kinks(loss, kinks, **options):
    """Differences that are drawn, those at kinks, and very large ones."""
    label = ", ".join(f"{name} {value}" for name, value in options.items())
    kinks = torch.tensor(kinks)
    return [
        case(loss, f"matrix {label}", torch.randn(3, 4), torch.randn(3, 4), **options),
        case(loss, f"kinks {label}", kinks, torch.zeros_like(kinks), smooth=False, **options),
        case(loss, f"far out {label}", torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0]), **options),
        case(loss, f"empty {label}", torch.zeros(0), torch.zeros(0), **options),
    ]


def of_differences():
    yield case("mse_loss", "vector", torch.randn(5), torch.randn(5))
    yield from far_and_kinks("mse_loss", [0.0])
    yield from far_and_kinks("l1_loss", [0.0, -0.0, 1.0])
    yield from far_and_kinks("huber_loss", [0.0, 1.0, -1.0])
    yield from far_and_kinks("huber_loss", [0.0, 0.25, -0.25], delta=0.25)
    yield from far_and_kinks("smooth_l1_loss", [0.0, 1.0, -1.0])
    yield from far_and_kinks("smooth_l1_loss", [0.0, 0.25, -0.25], beta=0.25)
    yield from far_and_kinks("smooth_l1_loss", [0.0, 1.0], beta=0.0)


def of_labels():
    labels, weight = torch.tensor([0, 2, 1, 1]), torch.tensor([0.5, 2.0, 1.25])
    padded = torch.tensor([[2, -100, 0, 1], [0, 0, -100, -100]])
    image = torch.randint(0, 3, (2, 2, 2))
    smooth, ignore = {"label_smoothing": 0.1}, {"ignore_index": -100}
    for loss, more in [("cross_entropy", smooth), ("nll_loss", {})]:

        def scores(*shape):
            x = torch.randn(shape)
            return x if loss == "cross_entropy" else x.log_softmax(min(1, len(shape) - 1))

        yield case(loss, "matrix", scores(4, 3), labels)
        yield case(loss, "weights", scores(4, 3), labels, weight=weight)
        yield case(loss, "a class to ignore", scores(4, 3), labels, ignore_index=1)
        yield case(loss, "padded steps", scores(2, 3, 4), padded, **ignore)
        yield case(loss, "padded steps, all options", scores(2, 3, 4), padded, weight=weight, **ignore, **more)
        yield case(loss, "image", scores(2, 3, 2, 2), image, weight=weight)
        yield case(loss, "no batch", scores(3), torch.tensor(1), weight=weight)
        yield case(loss, "all ignored", scores(2, 3), torch.tensor([-100, -100]), smooth=False, **ignore, **more)
        yield case(loss, "empty", scores(0, 3), labels[:0], weight=weight)
    yield case("cross_entropy", "wide", 5 * torch.randn(2, 10), torch.tensor([9, 0]))
    far_out = torch.tensor([[1e4, -1e4], [1e4, -1e4]]), torch.tensor([0, 1])
    yield case("cross_entropy", "far out", *far_out)
    yield case("cross_entropy", "far out, weights", *far_out, weight=weight[:2])
    yield case("cross_entropy", "smoothed", torch.randn(4, 3), labels, **smooth)
    yield case("cross_entropy", "smoothed, a class to ignore", torch.randn(4, 3), labels, ignore_index=1, **smooth)
    yield case("cross_entropy", "all smoothed", torch.randn(4, 3), labels, label_smoothing=1.0)
    for shape in [(4, 3), (2, 3, 4), (3,), (0, 3)]:
        probabilities = torch.randn(shape).softmax(min(1, len(shape) - 1))
        for options in [{}, {"weight": weight, **smooth}]:
            label = f"probabilities {sorted(options)}"
            yield case("cross_entropy", label, torch.randn(shape), probabilities, **options)
    for options in [{}, {"p": 2}, {"margin": 0.5}, {"weight": weight}, {"p": 2, "margin": 0.5, "weight": weight}]:
        yield case("multi_margin_loss", f"matrix {sorted(options)}", torch.randn(4, 3), labels, **options)
    yield case("multi_margin_loss", "no batch", torch.randn(3), torch.tensor(1), weight=weight)
    yield case("multi_margin_loss", "kink", torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([0]), smooth=False)
    yield case("multi_margin_loss", "far out", torch.tensor([[1e4, -1e4, 0.0]]), torch.tensor([1]))


def of_probabilities():
    logits = "binary_cross_entropy_with_logits"
    hard = torch.tensor([0.0, 1, 1, 0, 1, 0])
    weight, pos_weight = torch.rand(2, 3) + 0.5, torch.tensor([0.5, 1.0, 4.0])
    yield case(logits, "hard targets", torch.randn(6), hard)
    yield case(logits, "soft targets", 3 * torch.randn(2, 3), torch.rand(2, 3))
    # PyTorch's formula has a kink there, but no wrong gradient.
    yield case(logits, "zero scores", torch.zeros(3), torch.tensor([0.0, 1, 0.25]))
    far_out = torch.tensor([1e4, -1e4, 1e4, -1e4, 40.0, -40.0])
    yield case(logits, "far out", far_out, torch.tensor([1.0, 0, 0, 1, 1, 0]))
    yield case(logits, "weights", torch.randn(2, 3), torch.rand(2, 3), weight=weight)
    yield case(logits, "weights of questions", torch.randn(2, 3), torch.rand(2, 3), weight=pos_weight)
    yield case(logits, "weights of yes", torch.randn(2, 3), torch.rand(2, 3), pos_weight=pos_weight)
    yield case(logits, "all options", torch.randn(2, 3), torch.rand(2, 3), weight=weight, pos_weight=pos_weight)
    yield case(logits, "empty", torch.zeros(0, 3), torch.zeros(0, 3), pos_weight=pos_weight)
    yield case("binary_cross_entropy", "soft targets", 0.2 + 0.6 * torch.rand(2, 3), torch.rand(2, 3))
    yield case("binary_cross_entropy", "weights", 0.2 + 0.6 * torch.rand(2, 3), torch.rand(2, 3), weight=weight)
    certain = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5])
    yield case("binary_cross_entropy", "certain", certain, torch.tensor([0.0, 1, 0, 1, 0]), smooth=False)
    yield case("binary_cross_entropy", "empty", torch.zeros(0), torch.zeros(0))
    rows, targets = torch.randn(3, 4).log_softmax(1), (torch.randn(3, 4) / 4).softmax(1)
    yield case("kl_div", "matrix", rows, targets)
    yield case("kl_div", "logarithms", rows, targets.log(), log_target=True)
    # PyTorch's gradient by a target of 0 is NaN.
    yield case("kl_div", "zeros", rows[:1], torch.tensor([[0.0, 0.5, 0.0, 0.5]]), wrt=[0])
    yield case("kl_div", "far out", torch.tensor([[-1e4, -1e-4]]), torch.tensor([[0.5, 0.5]]))
    yield case("kl_div", "empty", torch.zeros(0, 3), torch.zeros(0, 3))


def of_pairs_and_triplets():
    signs = torch.tensor([1, -1, -1, 1])
    for options in [{}, {"margin": 0.25}]:
        pair = torch.randn(4, 3), torch.randn(4, 3)
        yield case("cosine_embedding_loss", f"matrix {options}", *pair, signs, **options)
    yield case("cosine_embedding_loss", "no batch", torch.randn(3), torch.randn(3), torch.tensor(1))
    yield case("cosine_embedding_loss", "alike", pair[0], 2 * pair[0], signs, smooth=False)
    yield case("cosine_embedding_loss", "zeros", pair[0], torch.zeros(4, 3), signs, smooth=False, margin=0.25)
    yield case("cosine_embedding_loss", "empty", torch.zeros(0, 3), torch.zeros(0, 3), signs[:0])
    x = torch.tensor([0.5, -0.5, 2.0, 1.0])
    for options in [{}, {"margin": 0.25}]:
        yield case("hinge_embedding_loss", f"vector {options}", x, signs, **options)
    yield case("hinge_embedding_loss", "kink", torch.tensor([1.0, 0.0]), torch.tensor([-1, 1]), smooth=False)
    yield case("hinge_embedding_loss", "far out", torch.tensor([1e4, -1e4]), torch.tensor([-1, -1]))
    yield case("hinge_embedding_loss", "empty", torch.zeros(0, 3), torch.zeros((0, 3), dtype=INTEGERS))
    triplet = [torch.randn(4, 3) for _ in range(3)]
    for options in [{}, {"margin": 0.25}, {"p": 1.0}, {"p": 3.0}, {"p": 2.5}, {"p": math.inf}, {"swap": True}]:
        yield case("triplet_margin_loss", f"matrix {options}", *triplet, **options)
    yield case("triplet_margin_loss", "all options", *triplet, margin=2.0, p=1.0, swap=True)
    yield case("triplet_margin_loss", "no batch", *(x[0] for x in triplet))
    yield case("triplet_margin_loss", "alike", triplet[0], triplet[0], triplet[1], smooth=False)
    yield case("triplet_margin_loss", "far out", *(1e4 * x for x in triplet))
    yield case("triplet_margin_loss", "empty", *(x[:0] for x in triplet))


FAMILIES = [of_differences, of_labels, of_probabilities, of_pairs_and_triplets]


def main():
    gains = {name: torch.nn.init.calculate_gain(name) for name in ("linear", "sigmoid", "tanh", "relu", "selu")}
    gains["leaky_relu 0.2"] = torch.nn.init.calculate_gain("leaky_relu", 0.2)
    lines = [json.dumps(case) for family in FAMILIES for case in family()]
    made_by = f"scripts/golden_losses.py, PyTorch {torch.__version__.split('+')[0]}"
    head = json.dumps({"made_by": made_by, "gains": gains})[:-1]
    text = head + ', "losses": [\n' + ",\n".join(lines) + "\n]}\n"
    Path(sys.argv[1]).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
