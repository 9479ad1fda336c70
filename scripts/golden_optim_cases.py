"""The cases of golden_optim.py. Per rule: whom it follows, and the options that it is given.

Every rule is followed with its defaults, and every option of every rule is set by some case.
"""

from dataclasses import dataclass
from typing import Callable

import optax
from torch.optim import SGD, Adagrad, Adadelta, Adam, Adamax, AdamW, ASGD, LBFGS, NAdam, RAdam, RMSprop

from golden_optim_references import (
    BoldDriver, NormalizedGd, Optax, OptaxScheduleFree, Sam, Torch, TorchAsgd, TorchLbfgs, TorchMuon,
    adafactor, lamb, lars, lion, noisy_sgd, parse, rprop, schedule_free, schedule_free_sgd, sgd, signum,
)


@dataclass
class Rule:
    """The kind of reference, what makes its optimizer, and the options of the cases, a line each.

    Maximized, the sign of the function is turned as well, so that climbing ends somewhere. Weight decay shows that the
    gradient's sign is turned before anything is added to it.
    """

    kind: type
    make: Callable | None
    options: str
    maximized: str = ""


RULES = {
    "gd": Rule(Torch, SGD, """
        defaults
        lr=0.05
        lr=0.05,momentum=0.5,dampening=0.2,weight_decay=0.1
        lr=0.05,momentum=0.7,nesterov=true
    """),
    "sgd": Rule(Torch, SGD, """
        defaults
        lr=0.05
        lr=0.05,weight_decay=0.1
        lr=0.05,momentum=0.9
        lr=0.05,momentum=0.9,dampening=0.3
        lr=0.05,momentum=0.9,nesterov=true
        lr=0.05,momentum=0.9,weight_decay=0.1
        lr=0.02,momentum=0.8,dampening=1,weight_decay=0.01
        lr=0.05,momentum=0.9,nesterov=true,weight_decay=0.1
    """, maximized="lr=0.05,momentum=0.9,nesterov=true,weight_decay=0.1"),
    "momentum": Rule(Torch, sgd(momentum=0.9), """
        defaults
        lr=0.05
        lr=0.05,momentum=0.5,dampening=0.2,weight_decay=0.1
        lr=0.05,momentum=0.8,nesterov=true
    """),
    "nesterov": Rule(Torch, sgd(momentum=0.9, nesterov=True), """
        defaults
        lr=0.05
        lr=0.05,momentum=0.5,weight_decay=0.1
        lr=0.02,nesterov=false,dampening=0.5
    """),
    "noisy-sgd": Rule(Optax, noisy_sgd, """
        eta=0
        lr=0.05,eta=0,gamma=0.3,seed=5
    """),
    "asgd": Rule(TorchAsgd, ASGD, """
        defaults
        lr=0.05,t0=20
        lr=0.05,lambd=0.1,alpha=0.5,t0=10
        lr=0.05,t0=50,weight_decay=0.1
    """, maximized="lr=0.05,lambd=0.1,t0=10,weight_decay=0.1"),
    "rprop": Rule(Torch, rprop, """
        defaults
        lr=0.05,eta_minus=0.3,eta_plus=1.4
        lr=0.02,step_min=0.01,step_max=0.05
    """, maximized="lr=0.05"),
    "sign-sgd": Rule(Optax, lambda lr=1e-3: optax.sign_sgd(lr), """
        defaults
        lr=0.02
    """),
    "signum": Rule(Optax, signum, """
        defaults
        lr=0.02,momentum=0.8
        lr=0.02,weight_decay=0.5
    """, maximized="lr=0.02,weight_decay=0.2"),
    "adagrad": Rule(Torch, Adagrad, """
        defaults
        lr=0.1
        lr=0.1,lr_decay=0.05
        lr=0.1,weight_decay=0.1
        lr=0.1,initial_accumulator_value=0.5
        lr=0.1,eps=0.1
    """, maximized="lr=0.1,weight_decay=0.1"),
    "adadelta": Rule(Torch, Adadelta, """
        defaults
        lr=5,rho=0.8
        rho=0.5,eps=0.001,weight_decay=0.1
    """, maximized="lr=5,weight_decay=0.1"),
    "rmsprop": Rule(Torch, RMSprop, """
        defaults
        lr=0.02
        lr=0.02,alpha=0.9,eps=0.01
        lr=0.01,momentum=0.5
        lr=0.01,alpha=0.9,centered=true
        lr=0.01,alpha=0.9,centered=true,momentum=0.5
        lr=0.02,weight_decay=0.1
        lr=0.01,centered=true,momentum=0.5,weight_decay=0.1
    """, maximized="lr=0.01,centered=true,momentum=0.5,weight_decay=0.1"),
    "adam": Rule(Torch, Adam, """
        defaults
        lr=0.05
        lr=0.05,beta2=0.9,amsgrad=true
        lr=0.05,weight_decay=0.1
        lr=0.05,beta1=0.5,beta2=0.9
        lr=0.05,beta1=0,eps=0.01
        lr=0.05,beta2=0.8,amsgrad=true,weight_decay=0.1
    """, maximized="lr=0.05,amsgrad=true,weight_decay=0.1"),
    "amsgrad": Rule(Torch, lambda parameters, betas=(0.9, 0.999), foreach=False, **options: Adam(parameters, betas=betas, foreach=foreach, **{"amsgrad": True} | options), """
        defaults
        lr=0.05,beta1=0.8,beta2=0.9,eps=0.001
        lr=0.05,beta2=0.8,weight_decay=0.1
        lr=0.05,amsgrad=false
    """),
    "adamax": Rule(Torch, Adamax, """
        defaults
        lr=0.05
        lr=0.05,beta1=0.5,beta2=0.9,eps=0.01
        lr=0.05,beta2=0.9,weight_decay=0.1
    """, maximized="lr=0.05,weight_decay=0.1"),
    "adamw": Rule(Torch, AdamW, """
        defaults
        lr=0.05,weight_decay=0.1
        lr=0.05,beta1=0.5,beta2=0.9,weight_decay=0.2,amsgrad=true
        lr=0.05,eps=0.01,weight_decay=0
    """, maximized="lr=0.05,weight_decay=0.1"),
    "nadam": Rule(Torch, NAdam, """
        defaults
        lr=0.05
        lr=0.05,beta1=0.7,beta2=0.9,eps=0.01,momentum_decay=0.1
        lr=0.05,weight_decay=0.1
        lr=0.05,weight_decay=0.1,decoupled_weight_decay=true
    """, maximized="lr=0.05,weight_decay=0.1"),
    "radam": Rule(Torch, RAdam, """
        defaults
        lr=0.05
        lr=0.05,beta1=0.7,beta2=0.9,eps=0.01
        lr=0.05,beta2=0.5
        lr=0.05,weight_decay=0.1
        lr=0.05,weight_decay=0.1,decoupled_weight_decay=true
    """, maximized="lr=0.05,weight_decay=0.1"),
    "adafactor": Rule(Torch, adafactor, """
        defaults
        lr=0.05,beta2_decay=-0.5
        lr=0.5,eps1=0.3
        lr=0.05,eps2=2
        lr=0.05,d=2,weight_decay=0.1
    """, maximized="lr=0.05,weight_decay=0.1"),
    "lion": Rule(Optax, lion, """
        defaults
        lr=0.01
        lr=0.01,beta1=0.5,beta2=0.8,weight_decay=0.5
        lr=0.01,weight_decay=0
    """, maximized="lr=0.01,weight_decay=0.1"),
    "lars": Rule(Optax, lars, """
        defaults
        lr=2,trust_coefficient=0.01,momentum=0.5
        lr=1,trust_coefficient=0.01,nesterov=true,weight_decay=0.1
        lr=1,trust_coefficient=0.01,momentum=0,eps=0.5
    """, maximized="lr=1,trust_coefficient=0.01,weight_decay=0.1"),
    "lamb": Rule(Optax, lamb, """
        defaults
        lr=0.02
        lr=0.02,beta1=0.5,beta2=0.9,eps=0.01
        lr=0.02,weight_decay=0.5
    """, maximized="lr=0.02,weight_decay=0.1"),
    "muon": Rule(TorchMuon, None, """
        defaults
        lr=0.05
        lr=0.05,momentum=0.8,nesterov=false
        lr=0.05,ns_steps=3,eps=2
        lr=0.05,match_rms_adamw=true,weight_decay=0.5
        lr=0.05,weight_decay=0
    """),
    "lbfgs": Rule(TorchLbfgs, LBFGS, """
        defaults
        max_iter=1
        max_iter=2
        max_iter=2,history_size=3
        max_iter=5,strong_wolfe=false
        lr=0.3,max_iter=2,history_size=1,strong_wolfe=false
        lr=0.1,max_iter=4,max_eval=3,strong_wolfe=false
        lr=0.5,max_iter=3,max_eval=4
        max_iter=4,max_eval=3
        max_iter=8,tolerance_grad=0.5
        max_iter=3,tolerance_grad=0.5,history_size=5
        max_iter=4,tolerance_change=0.1
        lr=0.2,max_iter=8,tolerance_change=0.02,strong_wolfe=false
        lr=0.02,max_iter=1,strong_wolfe=false
        lr=0.05,max_iter=1,history_size=2
    """, maximized="max_iter=2"),
    "schedule-free": Rule(OptaxScheduleFree, schedule_free, """
        defaults
        lr=0.1
        lr=0.1,beta=0.7,beta2=0.9,eps=0.01
        lr=0.1,weight_decay=0.1
        lr=0.1,beta1=0.5
        lr=0.1,beta2=0.8,amsgrad=true
    """, maximized="lr=0.1,weight_decay=0.1"),
    "schedule-free-sgd": Rule(OptaxScheduleFree, schedule_free_sgd, """
        defaults
        lr=0.1
        lr=0.1,beta=0.6,weight_decay=0.1
        lr=0.02,momentum=0.9,dampening=0.3
        lr=0.02,momentum=0.9,nesterov=true,weight_decay=0.1
    """),
    "sam": Rule(Sam, None, """
        defaults
        lr=0.05,rho=0.2
        lr=0.02,rho=0.5,momentum=0.5,nesterov=true
        lr=0.05,momentum=0,weight_decay=0.1
        lr=0.05,momentum=0.8,dampening=0.5
    """, maximized="lr=0.05,weight_decay=0.1"),
    "normalized-gd": Rule(NormalizedGd, None, """
        defaults
        lr=0.3
    """, maximized="lr=0.3"),
    "bold-driver": Rule(BoldDriver, None, """
        defaults
        lr=0.5
        lr=0.1,shrink=0.5,grow=1.5
        lr=0.02,grow=1.002
    """, maximized="lr=0.5"),
}


def specs(options):
    """The specs that Backflow is given: every rule with the lines of its cases."""
    for name, rule in RULES.items():
        for line in getattr(rule, options).split():
            yield name if line == "defaults" else f"{name}:{line}"


TRAJECTORIES = list(specs("options"))
MAXIMIZED = list(specs("maximized"))


def reference(spec, problem, maximize=False):
    """What a spec follows on a problem."""
    name, options = parse(spec)
    return RULES[name].kind(RULES[name].make, problem, maximize, options)


# What surrounds a rule. The bounds clip some steps and leave others alone. Weight decay shows that L2 comes after
# clipping, and that decoupled decay follows the schedule.
PIPELINES = [
    ("sgd:lr=0.05,momentum=0.9", dict(clip_norm=2.0)),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", dict(clip_norm=2.0, schedule="cosine:steps=120")),
    ("adam:lr=0.05", dict(clip_norm=0.1)),
    ("adamw:lr=0.05,weight_decay=0.1", dict(clip_norm=2.0, schedule="step:every=15,gamma=0.5")),
    ("sgd:lr=0.05,weight_decay=0.1", dict(clip_norm_each=1.0)),
    ("rmsprop:lr=0.01", dict(clip_norm_each=0.5)),
    ("sgd:lr=0.05,momentum=0.9,weight_decay=0.1", dict(clip_value=0.3)),
    ("adagrad:lr=0.1", dict(clip_value=0.3)),
    ("sgd:lr=0.05,weight_decay=0.1", dict(clip_adaptive=0.3)),
    ("sgd:lr=0.05,momentum=0.9", dict(clip_adaptive=0.05)),
    ("muon:lr=0.05", dict(clip_norm=2.0, schedule="cosine:steps=120")),
    ("asgd:lr=0.05,lambd=0.1,t0=10", dict(schedule="cosine:steps=120")),
    ("rprop:lr=0.05", dict(schedule="cosine:steps=120")),
    ("adafactor:lr=0.05,weight_decay=0.1", dict(schedule="step:every=15,gamma=0.5")),
    ("nadam:lr=0.05", dict(schedule="cosine:steps=120")),
    ("schedule-free-sgd:lr=0.3", dict(schedule="constant:warmup=40")),
    ("sgd:lr=0.05", dict(average={"ema": 0.95})),
    ("adam:lr=0.05", dict(average={"ema": 0.999})),
    ("sgd:lr=0.05,momentum=0.9", dict(average="mean")),
]
