"""Seconds per epoch of an MNIST multi-layer perceptron: Backflow and PyTorch, in turn, on this machine.

    cargo build --release
    pip install torch==2.15.0 numpy
    python benches/peers/mnist_epoch.py DIRECTORY_WITH_MNIST [--rounds 5] [--threads 2]

Both train 784-256-128-10 with ReLU and Adam (PyTorch: eager, fused) in batches of 64, loader and test accuracy
included. Each round runs one, then the other, in processes of their own; the table gives medians over the rounds and the
ratio round by round, because the speed of a shared machine drifts.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

EPOCHS = 3


def read_idx(path):
    import numpy as np

    data = gzip.open(path).read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def train_with_torch(folder, threads):
    """Runs in a process of its own; prints one JSON object."""
    import resource

    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def images(name):
        return torch.tensor(read_idx(f"{folder}/{name}-images-idx3-ubyte.gz").reshape(-1, 784).astype(np.float32) / 255)

    def labels(name):
        return torch.tensor(read_idx(f"{folder}/{name}-labels-idx1-ubyte.gz").astype(np.int64))

    x, y, x_test, y_test = images("train"), labels("train"), images("t10k"), labels("t10k")
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for i in range(0, len(x), 64):
            chosen = order[i : i + 64]
            loss = F.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "test_accuracy": accuracy, "peak_mb": peak, "torch": torch.__version__}))


def run(command, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    environment.pop("OPENBLAS_CORETYPE", None)
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_only:
        train_with_torch(options.folder, options.threads)
        return

    with tempfile.TemporaryDirectory() as out:
        backflow = (
            f"target/release/backflow train --data {options.folder} --layers 784,256,128,10 --activation relu "
            f"--optimizer adam --lr 1e-3 --batch-size 64 --epochs {EPOCHS} --json --out {out}/run"
        ).split()
        torch = [sys.executable, __file__, options.folder, "--torch-only", "--threads", str(options.threads)]
        ours, theirs = [], []
        for number in range(options.rounds):
            ours.append(run(backflow, options.threads))
            theirs.append(run(torch, options.threads))
            seconds = [results[-1]["seconds"] / EPOCHS for results in (ours, theirs)]
            print(f"round {number + 1}: backflow {seconds[0]:.2f} s/epoch, torch {seconds[1]:.2f} s/epoch", flush=True)
    medians = [statistics.median(r["seconds"] / EPOCHS for r in results) for results in (ours, theirs)]
    ratios = sorted(b["seconds"] / a["seconds"] for a, b in zip(ours, theirs))
    print(f"median: backflow {medians[0]:.3f} s/epoch, torch {theirs[0]['torch']} {medians[1]:.3f} s/epoch")
    print(f"torch / backflow, round by round: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}")


if __name__ == "__main__":
    main()
