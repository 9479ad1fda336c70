"""What golden_optim.py follows: optimizers of PyTorch and Optax under Backflow's names of options, or a paper's equation.

A reference is made from the options of a spec. It takes steps on a Problem; `evaluated` are the weights that are to be
evaluated, where they are not those that are trained. Options that a spec leaves out are left out here as well, so that the
defaults are the reference's own.
"""

import inspect
import math
from unittest import mock

import jax
import jax.numpy as jnp
import optax
import torch
from torch.optim import SGD, Adafactor, AdamW, Muon, Rprop

jax.config.update("jax_enable_x64", True)
# PyTorch keeps scalars such as NAdam's product of momenta in the default type.
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Reference:
    name = "paper"
    evaluated = None
    lr = None

    def buffers(self):
        return None


class Torch(Reference):
    """The single-tensor path of an optimizer of torch.optim."""

    name = "torch"

    def __init__(self, make, problem, maximize, options):
        options = dict(options)
        if "betas" in inspect.signature(make).parameters:
            beta1, beta2 = inspect.signature(make).parameters["betas"].default
            if options.keys() & {"beta1", "beta2"}:
                options["betas"] = (float(options.pop("beta1", beta1)), float(options.pop("beta2", beta2)))
        if maximize:
            options["maximize"] = True
        if "foreach" in inspect.signature(make).parameters:
            options["foreach"] = False
        self.problem, self.optimizer = problem, make(problem.parameters, **options)

    def step(self):
        self.optimizer.step()

    def buffers(self):
        state = self.optimizer.state[self.problem.parameters[0]]
        return {k: v.flatten().tolist() for k, v in state.items() if torch.is_tensor(v) and v.dim() > 0}


class TorchAsgd(Torch):
    @property
    def evaluated(self):
        return [self.optimizer.state[p]["ax"] for p in self.problem.parameters]


class TorchLbfgs(Torch):
    def __init__(self, make, problem, maximize, options):
        options = {"strong_wolfe": True, "max_eval": 25} | options
        options["line_search_fn"] = "strong_wolfe" if options.pop("strong_wolfe") else None
        super().__init__(make, problem, maximize, options)

    def step(self):
        self.optimizer.step(self.problem.evaluate)

    def buffers(self):
        return None


class TorchMuon(Reference):
    """Muon for matrices, AdamW for the rest, as PyTorch's documentation advises.

    PyTorch orthogonalises in bfloat16, whatever the element type. Here the same code runs with that type replaced, and its
    first step is compared with the original's.
    """

    name = "torch"

    def __init__(self, _, problem, maximize, options):
        assert not maximize, "torch.optim.Muon cannot maximize"
        self.problem = problem
        self.matrices = [p for p in problem.parameters if p.dim() == 2]
        others = [p for p in problem.parameters if p.dim() != 2]
        options = dict(options)
        if options.pop("match_rms_adamw", False):
            options["adjust_lr_fn"] = "match_rms_adamw"
        self.muon = Muon(self.matrices, **options)
        # What AdamW is given besides its own defaults: Muon's learning rate and weight decay.
        group = self.muon.param_groups[0]
        self.adamw = AdamW(others, lr=group["lr"], weight_decay=group["weight_decay"], foreach=False)
        self.compared = False

    def step(self):
        if not self.compared:
            self._compare_with_bfloat16()
            self.compared = True
        with mock.patch.object(torch, "bfloat16", torch.float64):
            self.muon.step()
        self.adamw.step()

    def _compare_with_bfloat16(self):
        options = {k: v for k, v in self.muon.param_groups[0].items() if k not in ("params", "initial_lr")}
        copies = [[p.detach().clone().requires_grad_() for p in self.matrices] for _ in range(2)]
        for tensors, dtype in zip(copies, (torch.bfloat16, torch.float64)):
            for copy, p in zip(tensors, self.matrices):
                copy.grad = p.grad.clone()
            with mock.patch.object(torch, "bfloat16", dtype):
                Muon(tensors, **options).step()
        for single, double, p in zip(*copies, self.matrices):
            moved = (double - p).norm()
            assert (single - double).norm() < 0.05 * moved, "bfloat16 should be within a few percent"

    def buffers(self):
        return {"momentum_buffer": self.muon.state[self.matrices[0]]["momentum_buffer"].flatten().tolist()}


class Optax(Reference):
    """An Optax transformation in float64. It knows no `maximize`: the gradient that it is given has its sign turned."""

    name = "optax"

    def __init__(self, make, problem, maximize, options):
        self.problem, self.sign = problem, -1.0 if maximize else 1.0
        self.transformation = make(**options)
        self.state = self.transformation.init(self._arrays())

    def _arrays(self):
        return [jnp.asarray(p.detach().numpy().copy()) for p in self.problem.parameters]

    def step(self):
        gradients = [self.sign * jnp.asarray(p.grad.numpy()) for p in self.problem.parameters]
        before = self._arrays()
        updates, self.state = self.transformation.update(gradients, self.state, before)
        for p, new in zip(self.problem.parameters, optax.apply_updates(before, updates)):
            assert new.dtype == jnp.float64
            p.data.copy_(torch.tensor(new.tolist()))


class OptaxScheduleFree(Optax):
    @property
    def evaluated(self):
        averages = optax.contrib.schedule_free_eval_params(self.state, self._arrays())
        return [torch.tensor(x.tolist()) for x in averages]


class NormalizedGd(Reference):
    """w ← w − lr·g/√(1 + ‖g‖²), ‖g‖ over all parameters."""

    def __init__(self, _, problem, maximize, options):
        self.problem, self.sign, self.rate = problem, -1.0 if maximize else 1.0, options.get("lr", 0.1)

    def step(self):
        norm = math.sqrt(sum(float((p.grad * p.grad).sum()) for p in self.problem.parameters))
        for p in self.problem.parameters:
            p.data -= self.sign * self.rate * p.grad / math.sqrt(1 + norm * norm)


class Sam(Reference):
    """Foret et al. 2021, equation 2 and algorithm 1: SGD with the gradient at w + ρ·g/‖g‖."""

    def __init__(self, _, problem, maximize, options):
        options = {"lr": 1e-2, "rho": 0.05, "momentum": 0.9} | options
        self.problem, self.sign, self.rho = problem, -1.0 if maximize else 1.0, options.pop("rho")
        self.base = SGD(problem.parameters, foreach=False, maximize=maximize, **options)

    def step(self):
        self.problem.evaluate()
        before = [p.detach().clone() for p in self.problem.parameters]
        norm = math.sqrt(sum(float((p.grad * p.grad).sum()) for p in self.problem.parameters))
        for p in self.problem.parameters:
            p.data += self.sign * self.rho / norm * p.grad
        self.problem.evaluate()
        for p, old in zip(self.problem.parameters, before):
            p.data.copy_(old)
        self.base.step()


class BoldDriver(Reference):
    """Gradient descent that tries a step: kept with lr·grow if the loss fell, undone with lr·shrink if it rose.

    Battiti 1989, Vogl et al. 1988: the loss before and after is that of the same data.
    """

    def __init__(self, _, problem, maximize, options):
        options = {"lr": 1e-2, "shrink": 0.9, "grow": 1.1} | options
        self.problem, self.sign = problem, -1.0 if maximize else 1.0
        self.rate, self.shrink, self.grow = (options[key] for key in ("lr", "shrink", "grow"))

    def step(self):
        loss = self.sign * self.problem.evaluate()
        before = [p.detach().clone() for p in self.problem.parameters]
        for p in self.problem.parameters:
            p.data -= self.sign * self.rate * p.grad
        if self.sign * self.problem.evaluate() > loss:
            self.rate *= self.shrink
            for p, old in zip(self.problem.parameters, before):
                p.data.copy_(old)
        else:
            self.rate *= self.grow


def sgd(**preset):
    """SGD under another name, with other defaults."""
    return lambda parameters, foreach=False, **options: SGD(parameters, foreach=foreach, **preset | options)


def adafactor(parameters, lr=1e-2, eps1=0.0, eps2=1e-3, **options):
    return Adafactor(parameters, lr=lr, eps=(eps1 or None, eps2), foreach=False, **options)


def rprop(parameters, eta_minus=0.5, eta_plus=1.2, step_min=1e-6, step_max=50, **options):
    return Rprop(parameters, etas=(eta_minus, eta_plus), step_sizes=(step_min, step_max), foreach=False, **options)


def lion(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=1e-3):
    return optax.lion(lr, b1=beta1, b2=beta2, weight_decay=weight_decay)


def signum(lr=1e-3, momentum=0.9, weight_decay=0.0):
    """optax.signum, with weight decay where Lion has it."""
    if weight_decay == 0:
        return optax.signum(lr, beta=momentum)
    return optax.chain(optax.ema(momentum, debias=False), optax.scale_by_sign(),
                       optax.add_decayed_weights(weight_decay), optax.scale_by_learning_rate(lr))


def noisy_sgd(lr=1e-3, seed=0, **options):
    assert options["eta"] == 0, "the noise itself is Backflow's own"
    return optax.noisy_sgd(lr, key=seed, **options)


def lars(lr=1.0, **options):
    return optax.lars(lr, **options)


def lamb(lr=1e-3, beta1=0.9, beta2=0.999, **options):
    return optax.lamb(lr, b1=beta1, b2=beta2, **options)


def over_torch(make, **options):
    """An optimizer of PyTorch as an Optax transformation, to be wrapped in another."""

    def init(params):
        parameters = [torch.tensor(p.tolist()).requires_grad_() for p in params]
        return make(parameters, foreach=False, **options)

    def update(gradients, optimizer, params):
        parameters = optimizer.param_groups[0]["params"]
        for p, g, value in zip(parameters, gradients, params):
            p.data.copy_(torch.tensor(value.tolist()))
            p.grad = torch.tensor(g.tolist())
        optimizer.step()
        return [jnp.asarray(p.detach().numpy()) - value for p, value in zip(parameters, params)], optimizer

    return optax.GradientTransformation(init, update)


def schedule_free(lr=2.5e-3, beta=0.9, beta1=0.0, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False):
    if beta1 == 0 and not amsgrad:
        return optax.contrib.schedule_free_adamw(lr, b1=beta, b2=beta2, eps=eps, weight_decay=weight_decay)
    base = over_torch(AdamW, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)
    return optax.contrib.schedule_free(base, lr, b1=beta)


def schedule_free_sgd(lr=1.0, beta=0.9, weight_decay=None, **options):
    if not options:
        return optax.contrib.schedule_free_sgd(lr, b1=beta, weight_decay=weight_decay)
    base = over_torch(SGD, lr=lr, weight_decay=weight_decay or 0, **options)
    return optax.contrib.schedule_free(base, lr, b1=beta)


# Those that evaluate the loss on their own, at other points than the weights.
NEEDS_LOSS = {"lbfgs", "sam", "bold-driver"}


def parse(spec):
    """The name and the options of a spec such as `sgd:lr=0.1,nesterov=true`."""
    name, _, options = spec.partition(":")
    flags = {"true": True, "false": False}
    number = lambda text: flags[text] if text in flags else int(text) if text.isdigit() else float(text)
    pairs = (option.split("=") for option in options.split(",") if option)
    return name, {key: number(text) for key, text in pairs}
