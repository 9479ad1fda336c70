#!/usr/bin/env python3
"""Ask mpmath what functions and their gradients are, to 34 digits: writes tests/golden/functions.txt.

    python3 -m venv venv && venv/bin/pip install mpmath==1.3.0 && venv/bin/python scripts/golden_functions.py

A line is a case: name, operands, seed of the way back, results, gradients, with tabs between them and commas between
numbers. A result is two f64, the nearest one and what it lacks. A gradient is three: these two, and the size of the
largest term of the sum that it is, beside which it can be right at best. Half of the operands are f32, which serve the
test of either type. `crates/tensor/tests/worst_errors.rs` reads the file. Nothing here is computed in floating point.
"""

import random
import struct
from pathlib import Path

from mpmath import cos, cosh, erf, erfc, exp, expm1, log, log1p, mp, mpf, pi, sin, sqrt, tanh

TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "functions.txt"
mp.prec = 400
CASES, ROWS, WIDTH = 70, 16, 5


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def sigmoid(x):
    return 1 / (1 + exp(-x))


def phi(x):
    return exp(-x * x / 2) / sqrt(2 * pi)


def cdf(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def cubic(x):
    """2u of the tanh approximation of GELU, and its slope."""
    c = mpf("0.044715")
    return 2 * sqrt(2 / pi) * (x + c * x**3), 2 * sqrt(2 / pi) * (1 + 3 * c * x * x)


def gelu_tanh_terms(x):
    u, slope = cubic(x)
    return [sigmoid(u), x * sigmoid(u) * sigmoid(-u) * slope]


SELU_ALPHA, SELU_SCALE = mpf(1.6732632423543772), mpf(1.0507009873554805)

# Name: value, terms of the slope, ranges that operands are drawn from, and borders. A range "e" is one of exponents of
# two, of either sign.
FUNCTIONS = {
    "exp": (exp, lambda x: [exp(x)], [(-87, 88), (-1, 1), "e"], [0, 88.7, -87.3]),
    "exp_m1": (expm1, lambda x: [exp(x)], [(-80, 80), (-1, 1), "e"], [-17, -18, -30, -80, 0.5]),
    "ln": (log, lambda x: [1 / x], [(0, 3), (0.9, 1.1), "+e"], [1, 0.999999, 1e-30]),
    "ln_1p": (log1p, lambda x: [1 / (1 + x)], [(-1, 3), (-0.1, 0.1), "+e"], [-0.999999, 1e-30]),
    "sqrt": (sqrt, lambda x: [1 / (2 * sqrt(x))], [(0, 3), "+e"], [1e-30]),
    "square": (lambda x: x * x, lambda x: [2 * x], [(-3, 3), "e"], []),
    "recip": (lambda x: 1 / x, lambda x: [-1 / (x * x)], [(-3, 3), "e"], [1]),
    "powf": (lambda x: x ** mpf(2.5), lambda x: [mpf(2.5) * x ** mpf(1.5)], [(0, 3), "+e"], [1]),
    "powi": (lambda x: x**-3, lambda x: [-3 * x**-4], [(-3, 3), "e"], [1]),
    "sin": (sin, lambda x: [cos(x)], [(-8, 8), (-3000, 3000), "e"], [3.1415927410125732, 22]),
    "cos": (cos, lambda x: [-sin(x)], [(-8, 8), (-3000, 3000), "e"], [1.5707963705062866, 11]),
    "erf": (erf, lambda x: [2 / sqrt(pi) * exp(-x * x)], [(-5, 5), (-1, 1), "e"], [3.9, -8]),
    "elu": (
        lambda x: x if x > 0 else mpf(1.5) * expm1(x),
        lambda x: [mpf(1) if x > 0 else mpf(1.5) * exp(x)],
        [(-80, 5), (-2, 2), "e"],
        [-17, -50],
    ),
    "selu": (
        lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * expm1(x)),
        lambda x: [SELU_SCALE if x > 0 else SELU_SCALE * SELU_ALPHA * exp(x)],
        [(-80, 5), (-2, 2), "e"],
        [-17, -50],
    ),
    "gelu": (lambda x: x * cdf(x), lambda x: [cdf(x), x * phi(x)], [(-12, 12), (-3, 3), "e"], [-5.5, -9, 9]),
    "gelu_tanh": (
        lambda x: x * sigmoid(cubic(x)[0]),
        gelu_tanh_terms,
        [(-9, 9), (-3, 3), "e"],
        [-6, -9, 9],
    ),
    "silu": (
        lambda x: x * sigmoid(x),
        lambda x: [sigmoid(x), x * sigmoid(x) * sigmoid(-x)],
        [(-80, 80), (-12, 12), "e"],
        [-20, 8, 8.5, 20],
    ),
    "softplus": (lambda x: log1p(exp(x)), lambda x: [sigmoid(x)], [(-80, 80), (-20, 20), "e"], [20, 21, -17]),
    "sigmoid": (sigmoid, lambda x: [sigmoid(x) * sigmoid(-x)], [(-80, 80), (-20, 20), "e"], [17, 80, -80]),
    "tanh": (tanh, lambda x: [1 / cosh(x) ** 2], [(-40, 40), (-10, 10), "e"], [9, 20, -40]),
}


def softmax(x):
    total = sum(exp(x) for x in x)
    return [exp(x) / total for x in x]


def of_softmax(x, seed):
    p = softmax(x)
    terms = [[p[i] * p[j] * (seed[i] - seed[j]) for j in range(len(x))] for i in range(len(x))]
    return p, terms


def of_log_softmax(x, seed):
    p = softmax(x)
    others = [sum(p[j] for j in range(len(x)) if j != i) for i in range(len(x))]
    # What is missing to 1 of one entry is what the others are.
    values = [log1p(-o) if o < 0.5 else log(p) for p, o in zip(p, others)]
    pull = [[seed[i] * others[i]] + [-p[i] * s for j, s in enumerate(seed) if j != i] for i in range(len(x))]
    return values, pull


def of_logsumexp(x, seed):
    return [log(sum(exp(x) for x in x))], [[p * seed[0]] for p in softmax(x)]


def of_norm(x, seed):
    y = sqrt(sum(x * x for x in x))
    return [y], [[x / y * seed[0]] for x in x]


def of_std(x, seed):
    n = len(x)
    mean = sum(x) / n
    y = sqrt(sum((x - mean) ** 2 for x in x) / (n - 1))
    return [y], [[x / (y * (n - 1)) * seed[0], -mean / (y * (n - 1)) * seed[0]] for x in x]


def of_cross_entropy(x, seed):
    """The label is 0."""
    values, _ = of_log_softmax(x, [0] * len(x))
    p = softmax(x)
    return [-values[0]], [[seed[0] * sum(p[1:])]] if len(x) == 1 else [[-seed[0] * sum(p[1:])]] + [[seed[0] * p] for p in p[1:]]


# Name: results and terms of the gradients, whether the seed is one number, and how far operands go.
OF_ROWS = {
    "softmax": (of_softmax, False, [1, 10, 40]),
    "log_softmax": (of_log_softmax, False, [1, 10, 40]),
    "cross_entropy": (of_cross_entropy, True, [1, 10, 40]),
    "logsumexp": (of_logsumexp, True, [1, 10, 1000]),
    "norm": (of_norm, True, [1, 1e-18, 1e18]),
    "std": (of_std, True, [1, 1e-18, 1e18]),
}


def nearest(x):
    """The nearest f64; infinity beyond the range, and what it lacks."""
    high = float(x)
    return high, 0.0 if high in (float("inf"), float("-inf")) else float(x - mpf(high))


def pair(x):
    high, low = nearest(x)
    return f"{high!r}:{low:.3e}"


def line(name, operands, seed, values, terms):
    gradients = [f"{pair(sum(t))}:{float(max(abs(x) for x in t)):.3e}" for t in terms]
    numbers = lambda xs: ",".join(repr(float(x)) for x in xs)
    return "\t".join([name, numbers(operands), numbers(seed), ",".join(map(pair, values)), ",".join(gradients)])


def draw(rng, span):
    if isinstance(span, str):
        sign = 1 if span == "+e" else rng.choice([-1, 1])
        return sign * rng.uniform(1, 2) * 2.0 ** rng.randint(-28, 4)
    return rng.uniform(*span)


def lines():
    for name, (value, slope, spans, borders) in FUNCTIONS.items():
        rng = random.Random(name)
        drawn = [draw(rng, spans[i % len(spans)]) for i in range(CASES - len(borders))]
        operands = [f32(x) for x in borders + drawn[::2]] + drawn[1::2]
        for x in operands:
            yield line(name, [x], [1], [value(mpf(x))], [slope(mpf(x))])
    for name, (of, is_scalar, reaches) in OF_ROWS.items():
        rng = random.Random(name)
        for case in range(ROWS):
            x = [f32(rng.uniform(-1, 1) * reaches[case % len(reaches)]) for _ in range(WIDTH)]
            if case % 4 == 3:
                # One entry that dominates the others.
                x = [x[0] + (37.43 if reaches[0] == 1 else 0)] + [0.0 * x[1]] + [x / 64 for x in x[2:]]
                x = [f32(x) for x in x]
            seed = [1.0] if is_scalar else [1.0] + [0.0 if case % 3 == 0 else rng.randint(-8, 8) / 8 for _ in x[1:]]
            values, terms = of([mpf(x) for x in x], [mpf(s) for s in seed])
            yield line(name, x, seed, values, terms)


def main():
    text = "".join(f"{line}\n" for line in lines())
    TARGET.write_text(text)
    print(f"{TARGET.name}: {text.count(chr(10))} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
