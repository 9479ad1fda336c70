"""The function that every trajectory of golden_optim.py minimises, and the weights it starts from.

A row of double wells with neighbours coupled, under a push that changes with the step, so that gradients keep changing
sign:

    f(w, t) = Σ (wᵢ² − 1)²/4 + (wᵢ − wᵢ₊₁)²/8 + pᵢ(t)·wᵢ        the row closes to a ring

Value and gradient need only operations that IEEE 754 rounds exactly: sums, products, a quotient of small integers. So
crates/optim/tests/trajectories.rs computes the same bits from the same weights, and nothing but the optimizer can
differ.
"""

import random

import torch

# Muon, Adafactor and unit-wise clipping treat matrices apart: a wide one, a tall one, and a vector.
SHAPES = [[3, 4], [4, 2], [4]]


def start():
    """Between -1.5 and 1.5, none of them 0."""
    sizes = [torch.Size(shape).numel() for shape in SHAPES]
    flat = torch.tensor([(5 * i % 13 - 6) / 4 + 0.03 for i in range(sum(sizes))], dtype=torch.float64)
    return [part.reshape(shape).clone().requires_grad_() for part, shape in zip(flat.split(sizes), SHAPES)]


def flatten(tensors):
    return [x for tensor in tensors for x in tensor.detach().flatten().tolist()]


def value_and_gradient(w, t):
    """Operation by operation as in crates/optim/tests/trajectories.rs."""
    value, gradient = 0.0, []
    for i, x in enumerate(w):
        previous, following = w[i - 1], w[(i + 1) % len(w)]
        push = ((7 * t + 3 * i) % 11 - 5) / 20
        well, apart = x * x - 1, x - following
        value += 0.25 * (well * well) + 0.125 * (apart * apart) + push * x
        gradient.append(x * x * x - x + 0.25 * (x - following) + 0.25 * (x - previous) + push)
    return value, gradient


class Problem:
    """The parameters of one run, and the loss as a reference sees it.

    `maximize` turns the sign of value and gradient: who climbs then goes where others descend. `seed` puts errors of up
    to 1e-15 into everything that is evaluated: a trajectory that they change visibly proves nothing.
    """

    def __init__(self, maximize=False, seed=None):
        self.parameters = start()
        self.sign = -1.0 if maximize else 1.0
        self.noise = random.Random(seed) if seed is not None else None
        self.t = 1
        self.evaluations = 0

    def _rounded(self, x):
        return x if self.noise is None else x * (1 + 1e-15 * self.noise.uniform(-1, 1))

    def evaluate(self):
        """The loss; the gradients are put into `grad` of the parameters."""
        self.evaluations += 1
        value, gradient = value_and_gradient(flatten(self.parameters), self.t)
        gradient = torch.tensor([self.sign * self._rounded(x) for x in gradient], dtype=torch.float64)
        for p, part in zip(self.parameters, gradient.split([p.numel() for p in self.parameters])):
            p.grad = part.reshape(p.shape).clone()
        return self.sign * self._rounded(value)
