#!/usr/bin/env python3
"""Make tests/golden/schedules.json: the learning rates of PyTorch's schedulers over 200 steps, in float64.

    python3 scripts/golden_schedules.py tests/golden/schedules.json

A case is the spec that Backflow is given, the learning rate that Backflow's schedule starts from, and the learning rates of
PyTorch: entry s was in force after s steps. Where PyTorch overwrites the optimizer's learning rate (OneCycleLR, CyclicLR) the
case gives it the one that Backflow calls the base.

ReduceLROnPlateau looks at a metric; its cases have the metrics as well, and entry s is the learning rate after s of them.
The metrics are exact in binary fractions, so that both sides compare the same numbers.
"""

import json
import sys
from pathlib import Path

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

STEPS = 200
BASE = 0.3


def one_cycle(steps, **options):
    return [lambda o: OneCycleLR(o, BASE, total_steps=steps, cycle_momentum=False, **options)]


def cyclic(most, **options):
    return [lambda o: CyclicLR(o, BASE, most, cycle_momentum=False, **options)]


def warmup(steps):
    return lambda o: LinearLR(o, 1 / steps, 1.0, steps - 1)


def sequence(milestones, *parts):
    return [lambda o: SequentialLR(o, [make(o) for make in parts], milestones)]


# (spec, schedulers); where there are several, their factors are multiplied
SCHEDULES = [
    ("constant", []),
    ("constant:warmup=40", [warmup(40)]),
    ("step:every=30", [lambda o: StepLR(o, 30)]),
    ("step:every=7,gamma=0.5", [lambda o: StepLR(o, 7, 0.5)]),
    ("step:every=50,gamma=0.3,warmup=60", [lambda o: StepLR(o, 50, 0.3), warmup(60)]),
    ("multistep:milestones=10:50:80", [lambda o: MultiStepLR(o, [10, 50, 80])]),
    ("multistep:milestones=120:1:30:30,gamma=0.7", [lambda o: MultiStepLR(o, [1, 30, 30, 120], 0.7)]),
    ("multistep:milestones=90,gamma=1.5,warmup=10", [lambda o: MultiStepLR(o, [90], 1.5), warmup(10)]),
    ("linear:steps=150", [lambda o: LinearLR(o, total_iters=150)]),
    ("linear:steps=200,start=1,end=0", [lambda o: LinearLR(o, 1.0, 0.0, 200)]),
    ("linear:steps=60,start=0.75,end=0.25,warmup=10", [lambda o: LinearLR(o, 0.75, 0.25, 60), warmup(10)]),
    ("exponential:gamma=0.97", [lambda o: ExponentialLR(o, 0.97)]),
    ("exponential:gamma=1.01,warmup=20", [lambda o: ExponentialLR(o, 1.01), warmup(20)]),
    ("polynomial:steps=150", [lambda o: PolynomialLR(o, 150)]),
    ("polynomial:steps=220,power=2.5", [lambda o: PolynomialLR(o, 220, 2.5)]),
    ("polynomial:steps=180,power=0.5,warmup=30", [lambda o: PolynomialLR(o, 180, 0.5), warmup(30)]),
    ("cosine:steps=200", [lambda o: CosineAnnealingLR(o, 200)]),
    ("cosine:steps=80,min=0.01", [lambda o: CosineAnnealingLR(o, 80, 0.01)]),
    ("cosine:steps=150,warmup=20", [lambda o: CosineAnnealingLR(o, 150), warmup(20)]),
    ("cosine-restarts:period=50", [lambda o: CosineAnnealingWarmRestarts(o, 50)]),
    ("cosine-restarts:period=10,mult=2", [lambda o: CosineAnnealingWarmRestarts(o, 10, 2)]),
    ("cosine-restarts:period=7,mult=3,min=0.02", [lambda o: CosineAnnealingWarmRestarts(o, 7, 3, 0.02)]),
    ("one-cycle:steps=200", one_cycle(200)),
    ("one-cycle:steps=230,linear=true", one_cycle(230, anneal_strategy="linear")),
    ("one-cycle:steps=200,pct_start=0.45,div_factor=10,final_div_factor=100",
     one_cycle(200, pct_start=0.45, div_factor=10, final_div_factor=100)),
    ("one-cycle:steps=200,three_phase=true", one_cycle(200, three_phase=True)),
    ("one-cycle:steps=210,pct_start=0.6,three_phase=true,linear=true",
     one_cycle(210, pct_start=0.6, three_phase=True, anneal_strategy="linear")),
    ("one-cycle:steps=200,pct_start=0", one_cycle(200, pct_start=0.0)),
    ("one-cycle:steps=200,pct_start=1", one_cycle(200, pct_start=1.0)),
    ("cyclic:max=0.9", cyclic(0.9)),
    ("cyclic:max=0.9,up=20", cyclic(0.9, step_size_up=20)),
    ("cyclic:max=0.9,up=7,down=23", cyclic(0.9, step_size_up=7, step_size_down=23)),
    ("cyclic:max=0.9,up=13,halve=true", cyclic(0.9, step_size_up=13, mode="triangular2")),
    ("cyclic:max=0.05,up=13,down=6,gamma=0.99",
     cyclic(0.05, step_size_up=13, step_size_down=6, mode="exp_range", gamma=0.99)),
    ("constant:for=70/cosine:steps=130", sequence([70], lambda o: LambdaLR(o, lambda s: 1.0),
                                                  lambda o: CosineAnnealingLR(o, 130))),
    ("linear:steps=20,start=0.1,for=20/step:every=15,gamma=0.8,for=60/exponential:gamma=0.95",
     sequence([20, 80], lambda o: LinearLR(o, 0.1, 1.0, 20), lambda o: StepLR(o, 15, 0.8),
              lambda o: ExponentialLR(o, 0.95))),
    ("constant:for=150,warmup=25/linear:steps=50,start=1,end=0",
     sequence([150], warmup(25), lambda o: LinearLR(o, 1.0, 0.0, 50))),
    ("cosine-restarts:period=30,for=75/polynomial:steps=100,power=2",
     sequence([75], lambda o: CosineAnnealingWarmRestarts(o, 30), lambda o: PolynomialLR(o, 100, 2.0))),
]

# Not options of a schedule, but what the documentation says of PyTorch's others: (spec, Backflow's base, schedulers)
EQUIVALENTS = [
    ("multistep:milestones=5,gamma=3", 0.1, [lambda o: ConstantLR(o)]),
    ("multistep:milestones=60,gamma=2.5", 0.12, [lambda o: ConstantLR(o, 0.4, 60)]),
]

# (the spec, the options of ReduceLROnPlateau, which metrics)
PLATEAUS = [
    ("plateau", {}, "loss"),
    ("plateau:patience=0", dict(patience=0), "loss"),
    ("plateau:factor=0.5,patience=2", dict(factor=0.5, patience=2), "loss"),
    ("plateau:factor=0.5,patience=3,cooldown=5", dict(factor=0.5, patience=3, cooldown=5), "loss"),
    ("plateau:factor=0.7,patience=2,min=0.01", dict(factor=0.7, patience=2, min_lr=0.01), "loss"),
    ("plateau:factor=0.7,patience=2,eps=0.02", dict(factor=0.7, patience=2, eps=0.02), "loss"),
    ("plateau:factor=0.7,patience=2,min=0.01,eps=0", dict(factor=0.7, patience=2, min_lr=0.01, eps=0), "loss"),
    ("plateau:factor=0.8,patience=3,threshold=0.05", dict(factor=0.8, patience=3, threshold=0.05), "loss"),
    ("plateau:factor=0.8,patience=3,threshold=0.05,absolute=true",
     dict(factor=0.8, patience=3, threshold=0.05, threshold_mode="abs"), "loss"),
    ("plateau:factor=0.8,patience=3,maximize=true", dict(factor=0.8, patience=3, mode="max"), "accuracy"),
    ("plateau:factor=0.8,patience=3,threshold=0.03,absolute=true,maximize=true",
     dict(factor=0.8, patience=3, threshold=0.03, threshold_mode="abs", mode="max"), "accuracy"),
    ("plateau:factor=0.8,patience=3,threshold=0.03,maximize=true",
     dict(factor=0.8, patience=3, threshold=0.03, mode="max"), "accuracy"),
    ("plateau:factor=0.5,patience=2,min=0.5", dict(factor=0.5, patience=2, min_lr=0.5), "loss"),
]


def rates(optimizer, scheduler):
    values = [optimizer.param_groups[0]["lr"]]
    for _ in range(STEPS - 1):
        optimizer.step()
        if scheduler:
            scheduler.step()
        values.append(optimizer.param_groups[0]["lr"])
    return values


def optimizer(base):
    return SGD([torch.zeros(1, requires_grad=True)], lr=base)


def schedule(spec, factors, base=BASE, torch_base=BASE):
    o = optimizer(torch_base)
    made = [make(o) for make in factors]
    scheduler = ChainedScheduler(made) if len(made) > 1 else made[0] if made else None
    return {"spec": spec, "base": base, "rates": rates(o, scheduler)}


def metric(kind, s):
    """A staircase that falls (or rises) in shrinking steps, with a wave on it that goes both ways."""
    stairs = (200 - s // 8 * 8) ** 2 / 16384
    wave = (7 * s % 16 - 8) / 256
    return stairs + wave if kind == "loss" else 4 - stairs + wave


def plateau(spec, options, kind):
    o = optimizer(BASE)
    scheduler = ReduceLROnPlateau(o, **options)
    metrics = [metric(kind, s) for s in range(STEPS)]
    values = []
    for value in metrics:
        values.append(o.param_groups[0]["lr"])
        scheduler.step(value)
    return {"spec": spec, "base": BASE, "metrics": metrics, "rates": values}


def main():
    torch.set_num_threads(1)
    document = {
        "generator": "scripts/golden_schedules.py",
        "torch": torch.__version__,
        "schedules": [schedule(*case) for case in SCHEDULES]
        + [schedule(spec, factors, base) for spec, base, factors in EQUIVALENTS],
        "plateaus": [plateau(*case) for case in PLATEAUS],
    }
    # One case per line, so that a change shows which case changed.
    lines = []
    for key, value in document.items():
        if isinstance(value, list):
            cases = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in value)
            lines.append(f' "{key}": [\n  {cases}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value)}')
    Path(sys.argv[1]).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
