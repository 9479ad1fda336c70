#!/usr/bin/env python3
"""Ask PyTorch what every op of the catalogue gives, to the second derivative: writes tests/golden/ops.safetensors.

    python3 scripts/golden_ops.py

Run it when an op or a sample was added or changed (the tests say so), with PyTorch installed and `cargo` at hand.
The questions come from `cargo run -p backflow-testkit --bin export_samples`, one JSON object a line; see
crates/testkit/src/lib.rs. Everything is computed in float64 on one thread of the CPU, so that the file is the same each time.

Per question the file holds one array: the result, the gradient by each operand, and the gradients by each operand and
by the first cotangent of the sum of <second cotangent, gradient>. Long arrays are condensed (see `condense`, whose
twin is in crates/testkit/src/golden.rs). The metadata maps each label to the fingerprint of its question.
"""

import json
import os
import string
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "golden" / "ops.safetensors"
SIZE_LIMIT = 1_000_000


def questions():
    command = ["cargo", "run", "--quiet", "--package", "backflow-testkit", "--bin", "export_samples"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def tensor(spec):
    data = bytes.fromhex(spec["bytes"])
    numbers = struct.unpack(f"<{len(data) // 8}d", data)
    return torch.tensor(numbers, dtype=torch.float64).reshape(spec["shape"])


def gradients(y, xs, seed, create_graph=False):
    """The gradient by each x, zeros where y does not depend on it."""
    found = [None] * len(xs)
    if y.requires_grad:
        found = torch.autograd.grad(y, xs, seed, create_graph=create_graph, allow_unused=True)
    # PyTorch has zeros without elements, which only a copy fills in.
    return [torch.zeros_like(x) if g is None else g.clone() for x, g in zip(xs, found)]


def answer(question):
    xs = [tensor(spec).requires_grad_() for spec in question["inputs"]]
    names = dict(zip(string.ascii_lowercase, xs), torch=torch, F=torch.nn.functional)
    y = eval(question["torch"], names)
    arrays = [y]
    if question["orders"] >= 1:
        u = tensor(question["first"]).requires_grad_()
        if u.shape != y.shape:
            raise ValueError(f"{question['label']}: PyTorch's result has shape {list(y.shape)}, ours {list(u.shape)}")
        dx = gradients(y, xs, u, create_graph=True)
        arrays += dx
    if question["orders"] >= 2:
        along = sum((tensor(v) * g).sum() for v, g in zip(question["second"], dx))
        arrays += gradients(along, [*xs, u], None)
    return [number for array in arrays for number in condense(array.detach().double().flatten().tolist())]


def condense(values):
    if len(values) <= 24:
        return values
    picks = [values[k * len(values) // 8] for k in range(8)]
    return [*picks, sum((7 * i % 16 + 1) * x for i, x in enumerate(values))]


def safetensors(arrays, metadata):
    """The file format: the length of a JSON header, the header, the elements."""
    header, body = {"__metadata__": metadata}, bytearray()
    for label, numbers in arrays.items():
        start = len(body)
        body += struct.pack(f"<{len(numbers)}d", *numbers)
        header[label] = {"dtype": "F64", "shape": [len(numbers)], "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(body)


def main():
    torch.set_num_threads(1)
    arrays, metadata = {}, {"torch": torch.__version__.split("+")[0]}
    for question in questions():
        try:
            arrays[question["label"]] = answer(question)
        except Exception as error:
            sys.exit(f"{question['label']}: {question['torch']}: {error}")
        metadata[question["label"]] = question["fingerprint"]
    data = safetensors(arrays, metadata)
    if len(data) > SIZE_LIMIT:
        sys.exit(f"{len(data)} bytes are more than the {SIZE_LIMIT} that the repository should carry")
    with tempfile.NamedTemporaryFile(dir=TARGET.parent, delete=False) as file:
        file.write(data)
    os.chmod(file.name, 0o644)
    os.replace(file.name, TARGET)
    print(f"{TARGET.relative_to(ROOT)}: {len(arrays)} answers by PyTorch {metadata['torch']}, {len(data)} bytes")


if __name__ == "__main__":
    main()
