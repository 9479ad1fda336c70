#!/usr/bin/env python3
"""Make tests/golden/optim.json: what optimizers, and the pipeline around them, compute in float64.

    python3 scripts/golden_optim.py tests/golden/optim.json

Every trajectory minimises the function of golden_optim_function.py. Whom it follows (PyTorch, Optax, or a paper's
equation) is in golden_optim_references.py, and which trajectories there are in golden_optim_cases.py.

A case is only worth comparing if rounding does not decide where it goes: each is run again with errors of 1e-15 in all
that it evaluates, and must end within SENSITIVITY of itself. Numbers are written with all their digits.
"""

import json
import sys
from pathlib import Path

import jax.numpy as jnp
import optax
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, StepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from golden_optim_cases import MAXIMIZED, PIPELINES, TRAJECTORIES, reference
from golden_optim_function import SHAPES, Problem, flatten, start
from golden_optim_references import NEEDS_LOSS, OptaxScheduleFree, parse

STEPS = 100
SNAPSHOTS = [1, 2, 3, 5, 10, 25, 100]
SENSITIVITY = 1e-11

SCHEDULERS = {
    "cosine:steps=120": lambda o: CosineAnnealingLR(o, 120),
    "step:every=15,gamma=0.5": lambda o: StepLR(o, 15, 0.5),
    "constant:warmup=40": lambda o: LinearLR(o, 1 / 40, 1.0, 39),
}


class ScheduledScheduleFree(OptaxScheduleFree):
    """Optax counts the steps of the base optimizer from 0 and those of the wrapper from 1: here both see the same rate."""

    def __init__(self, problem, spec, scheduler):
        _, options = parse(spec)
        optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=options["lr"])
        scheduler, rates = scheduler(optimizer), []
        for _ in range(STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        rates = jnp.asarray(rates)
        make = lambda: optax.contrib.schedule_free(optax.sgd(lambda n: rates[n]), lambda n: rates[n - 1])
        super().__init__(make, problem, False, {})


def clip(problem, clip_norm=None, clip_norm_each=None, clip_value=None, clip_adaptive=None):
    parameters = problem.parameters
    if clip_norm is not None:
        clip_grad_norm_(parameters, clip_norm, foreach=False)
    if clip_norm_each is not None:
        for p in parameters:
            clip_grad_norm_([p], clip_norm_each, foreach=False)
    if clip_value is not None:
        clip_grad_value_(parameters, clip_value, foreach=False)
    if clip_adaptive is not None:
        # A unit is what feeds one output: a row of a matrix [out, in], and a vector as a whole. Optax's own matrices are
        # [in, out], hence the axis.
        for p in parameters:
            tx = optax.adaptive_grad_clip(clip_adaptive, axis=1 if p.dim() == 2 else None)
            clipped, _ = tx.update(jnp.asarray(p.grad.numpy()), tx.init(None), jnp.asarray(p.detach().numpy()))
            p.grad = torch.tensor(clipped.tolist())


def averaging(problem, average):
    """AveragedModel over the parameters: the first update copies them."""
    module = torch.nn.Module()
    module.weights = torch.nn.ParameterList(problem.parameters)
    make = get_swa_multi_avg_fn() if average == "mean" else get_ema_multi_avg_fn(average["ema"])
    averaged = AveragedModel(module, multi_avg_fn=make)
    return module, averaged


def run(spec, maximize=False, schedule=None, average=None, seed=None, **clipping):
    """A case: weights (and what else is to be compared) at the snapshots."""
    problem = Problem(maximize, seed)
    scheduler = SCHEDULERS[schedule] if schedule else None
    if schedule and spec.startswith("schedule-free"):
        follows, schedulers = ScheduledScheduleFree(problem, spec, scheduler), []
    else:
        follows = reference(spec, problem, maximize)
        optimizers = [getattr(follows, name) for name in ("optimizer", "muon", "adamw") if hasattr(follows, name)]
        schedulers = [scheduler(optimizer) for optimizer in optimizers] if scheduler else []
    if average:
        module, averaged = averaging(problem, average)
    needs_loss = parse(spec)[0] in NEEDS_LOSS
    weights, norms, evaluated, evaluations = [], [], [], []
    for t in range(1, STEPS + 1):
        problem.t = t
        if not needs_loss:
            problem.evaluate()
            norm = torch.cat([p.grad.flatten() for p in problem.parameters]).norm().item()
            clip(problem, **clipping)
        follows.step()
        for each in schedulers:
            each.step()
        if average:
            averaged.update_parameters(module)
        if t in SNAPSHOTS:
            weights.append(flatten(problem.parameters))
            if average:
                evaluated.append(flatten(averaged.module.weights))
            elif follows.evaluated:
                evaluated.append(flatten(follows.evaluated))
            if clipping:
                norms.append(norm)
            if needs_loss:
                evaluations.append(problem.evaluations)
    entry = {"spec": spec, "reference": follows.name}
    if maximize:
        entry["maximize"] = True
    settings = clipping | {"schedule": schedule, "average": average}
    entry |= {key: value for key, value in settings.items() if value is not None}
    entry["weights"] = weights
    optional = {"norms": norms, "evaluated": evaluated, "evaluations": evaluations, "buffers": follows.buffers()}
    return entry | {key: value for key, value in optional.items() if value}


def case(spec, **settings):
    """A case with as many snapshots as rounding does not decide. It says how many steps where it is not all of them."""
    entry = run(spec, **settings)
    kept = len(SNAPSHOTS)
    for seed in range(3):
        other = run(spec, **settings, seed=seed)
        for i in range(kept):
            pairs = [(a, b) for key in ("weights", "evaluated") if key in entry
                     for a, b in zip(entry[key][i], other[key][i])]
            apart = max(abs(a - b) / max(abs(a), 1e-2) for a, b in pairs)
            same_path = "evaluations" not in entry or entry["evaluations"][i] == other["evaluations"][i]
            if not (apart < SENSITIVITY and same_path):
                kept = i
                break
    assert kept > 0, f"{spec}: rounding decides the first step"
    if kept < len(SNAPSHOTS):
        print(f"{spec}: {SNAPSHOTS[kept - 1]} steps", file=sys.stderr)
        entry = entry | {key: entry[key][:kept] for key in ("weights", "norms", "evaluated", "evaluations") if key in entry}
        entry.pop("buffers", None)
        entry["steps"] = SNAPSHOTS[kept - 1]
    return entry


def main():
    cases = [case(spec) for spec in TRAJECTORIES] + [case(spec, maximize=True) for spec in MAXIMIZED]
    document = {
        "generator": "scripts/golden_optim.py",
        "torch": torch.__version__,
        "optax": optax.__version__,
        "snapshots": SNAPSHOTS,
        "shapes": SHAPES,
        "start": flatten(start()),
        "trajectories": cases,
        "pipelines": [case(spec, **settings) for spec, settings in PIPELINES],
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
