#!/usr/bin/env python3
"""Make tests/golden/optim.json: what PyTorch's optimizers and clipping compute, in float64.

    python3 scripts/golden_optim.py tests/golden/optim.json

Every trajectory minimises the same function, whose gradient `gradient` below needs only operations that IEEE 754
rounds exactly: sums, products, a quotient of small integers. So crates/optim/tests/trajectories.rs computes the same bits
from the same weights, and nothing but the optimizer can differ. The function is a row of double wells (not
convex) with neighbours coupled, under a push that changes with time, so that gradients keep changing sign.

PyTorch runs its single-tensor path (foreach=False, fused=False). Numbers are written with all their digits.
"""

import json
import sys
from pathlib import Path

import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR

STEPS = 100
SNAPSHOTS = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
SHAPES = [[2, 3], [4]]

# (the spec that Backflow is given, the optimizer that PyTorch makes)
TRAJECTORIES = [
    ("sgd:lr=0.05", SGD, dict(lr=0.05)),
    ("sgd:lr=0.05,weight_decay=0.1", SGD, dict(lr=0.05, weight_decay=0.1)),
    ("sgd:lr=0.05,momentum=0.9", SGD, dict(lr=0.05, momentum=0.9)),
    ("sgd:lr=0.05,momentum=0.9,dampening=0.3", SGD, dict(lr=0.05, momentum=0.9, dampening=0.3)),
    ("sgd:lr=0.05,momentum=0.9,nesterov=true", SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.1)),
    ("sgd:lr=0.02,momentum=0.8,dampening=1,weight_decay=0.01", SGD,
     dict(lr=0.02, momentum=0.8, dampening=1, weight_decay=0.01)),
    ("sgd:lr=0.05,momentum=0.9,nesterov=true,weight_decay=0.1", SGD,
     dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1)),
    ("sgd", SGD, {}),
    ("adagrad:lr=0.1", Adagrad, dict(lr=0.1)),
    ("adagrad:lr=0.1,lr_decay=0.05", Adagrad, dict(lr=0.1, lr_decay=0.05)),
    ("adagrad:lr=0.1,weight_decay=0.1", Adagrad, dict(lr=0.1, weight_decay=0.1)),
    ("adagrad:lr=0.1,initial_accumulator_value=0.5", Adagrad, dict(lr=0.1, initial_accumulator_value=0.5)),
    ("adagrad:lr=0.1,eps=0.1", Adagrad, dict(lr=0.1, eps=0.1)),
    ("adagrad", Adagrad, {}),
    ("rmsprop:lr=0.02", RMSprop, dict(lr=0.02)),
    ("rmsprop:lr=0.02,alpha=0.9,eps=0.01", RMSprop, dict(lr=0.02, alpha=0.9, eps=0.01)),
    ("rmsprop:lr=0.01,momentum=0.5", RMSprop, dict(lr=0.01, momentum=0.5)),
    ("rmsprop:lr=0.01,alpha=0.9,centered=true", RMSprop, dict(lr=0.01, alpha=0.9, centered=True)),
    ("rmsprop:lr=0.01,alpha=0.9,centered=true,momentum=0.5", RMSprop,
     dict(lr=0.01, alpha=0.9, centered=True, momentum=0.5)),
    ("rmsprop:lr=0.02,weight_decay=0.1", RMSprop, dict(lr=0.02, weight_decay=0.1)),
    ("rmsprop:lr=0.01,centered=true,momentum=0.5,weight_decay=0.1", RMSprop,
     dict(lr=0.01, centered=True, momentum=0.5, weight_decay=0.1)),
    ("rmsprop", RMSprop, {}),
    ("adam:lr=0.05", Adam, dict(lr=0.05)),
    ("adam:lr=0.05,beta2=0.9,amsgrad=true", Adam, dict(lr=0.05, betas=(0.9, 0.9), amsgrad=True)),
    ("adam:lr=0.05,weight_decay=0.1", Adam, dict(lr=0.05, weight_decay=0.1)),
    ("adam:lr=0.05,beta1=0.5,beta2=0.9", Adam, dict(lr=0.05, betas=(0.5, 0.9))),
    ("adam:lr=0.05,beta1=0,eps=0.01", Adam, dict(lr=0.05, betas=(0.0, 0.999), eps=0.01)),
    ("adam:lr=0.05,beta2=0.8,amsgrad=true,weight_decay=0.1", Adam,
     dict(lr=0.05, betas=(0.9, 0.8), amsgrad=True, weight_decay=0.1)),
    ("adam", Adam, {}),
    ("adamw:lr=0.05,weight_decay=0.1", AdamW, dict(lr=0.05, weight_decay=0.1)),
    ("adamw:lr=0.05,beta1=0.5,beta2=0.9,weight_decay=0.2,amsgrad=true", AdamW,
     dict(lr=0.05, betas=(0.5, 0.9), weight_decay=0.2, amsgrad=True)),
    ("adamw", AdamW, {}),
]

# (optimizer, max_norm of clip_grad_norm_, schedule): 1.5 clips some steps and leaves others alone. Weight decay shows that
# L2 comes after clipping, and that decoupled decay follows the schedule.
PIPELINES = [
    ("sgd:lr=0.05,momentum=0.9", SGD, dict(lr=0.05, momentum=0.9), 1.5, "constant", None),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.1), 1.5,
     "cosine:steps=120", lambda o: CosineAnnealingLR(o, 120)),
    ("adam:lr=0.05", Adam, dict(lr=0.05), 0.1, "constant", None),
    ("adamw:lr=0.05,weight_decay=0.1", AdamW, dict(lr=0.05, weight_decay=0.1), 1.5,
     "step:every=15,gamma=0.5", lambda o: StepLR(o, 15, 0.5)),
]


def start():
    """The weights at the start: between -1.5 and 1.5, none of them 0."""
    flat = [(5 * i % 13 - 6) / 4 + 0.03 for i in range(10)]
    sizes = [torch.Size(shape).numel() for shape in SHAPES]
    parts = torch.tensor(flat, dtype=torch.float64).split(sizes)
    return [part.reshape(shape).clone().requires_grad_() for part, shape in zip(parts, SHAPES)]


def gradient(w, t):
    """Of Σ (wᵢ² − 1)²/4 + Σ (wᵢ − wᵢ₊₁)²/8 + push: exactly as in crates/optim/tests/trajectories.rs."""
    g = []
    for i, x in enumerate(w):
        following = w[(i + 1) % len(w)]
        push = ((7 * t + 3 * i) % 11 - 5) / 20
        g.append(x * x * x - x + 0.25 * (x - following) + push)
    return g


def trajectory(spec, make, options, max_norm=None, schedule=None, scheduler=None):
    parameters = start()
    optimizer = make(parameters, foreach=False, **options)
    scheduler = scheduler and scheduler(optimizer)
    weights, norms = [], []
    for t in range(1, STEPS + 1):
        flat = [x for p in parameters for x in p.detach().flatten().tolist()]
        g = torch.tensor(gradient(flat, t), dtype=torch.float64)
        for p, part in zip(parameters, g.split([p.numel() for p in parameters])):
            p.grad = part.reshape(p.shape).clone()
        if max_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, foreach=False).item()
        optimizer.step()
        if scheduler:
            scheduler.step()
        if t in SNAPSHOTS:
            weights.append([x for p in parameters for x in p.detach().flatten().tolist()])
            if max_norm is not None:
                norms.append(norm)
    state = optimizer.state[parameters[0]]
    buffers = {k: v.flatten().tolist() for k, v in state.items() if torch.is_tensor(v) and v.shape == parameters[0].shape}
    entry = {"spec": spec, "weights": weights, "buffers": buffers}
    if max_norm is not None:
        entry |= {"max_norm": max_norm, "norms": norms, "schedule": schedule}
    return entry


def main():
    torch.set_num_threads(1)
    document = {
        "generator": "scripts/golden_optim.py",
        "torch": torch.__version__,
        "snapshots": SNAPSHOTS,
        "start": [x for p in start() for x in p.detach().flatten().tolist()],
        "trajectories": [trajectory(*case) for case in TRAJECTORIES],
        "pipelines": [trajectory(*case) for case in PIPELINES],
    }
    # One case per line, so that a change shows which case changed.
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and isinstance(value[0], dict):
            cases = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in value)
            lines.append(f' "{key}": [\n  {cases}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    Path(sys.argv[1]).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
