"""One Adam step over ten million f32 parameters: Backflow, step report included, and PyTorch's fused Adam, in turn.

    cargo bench --bench optimizer --no-run
    pip install torch==2.15.0
    python benches/peers/adam_step.py [--rounds 7] [--threads 2]

Each round runs both in processes of their own, one after the other; the table gives medians and the ratio round by round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def step_with_torch(threads):
    """Runs in a process of its own; prints the median time of a step in microseconds."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    w = torch.randn(10_000_000, requires_grad=True)
    w.grad = torch.randn_like(w)
    optimizer = torch.optim.Adam([w], 1e-3, fused=True)
    optimizer.step()
    times = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(4):
            optimizer.step()
        times.append((time.perf_counter() - start) * 1e6 / 4)
    print(json.dumps({"peer": "torch", "med_us": statistics.median(times)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch:
        return step_with_torch(arguments.threads)

    environment = os.environ | {"RAYON_NUM_THREADS": str(arguments.threads)}

    def run(command):
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return {line["w"] if "w" in line else line["peer"]: line["med_us"] for line in map(json.loads, done.stdout.splitlines())}

    ours = ["cargo", "bench", "--quiet", "--bench", "optimizer", "--", "adam"]
    theirs = [sys.executable, __file__, "--torch", "--threads", str(arguments.threads)]
    rounds = []
    print("round  backflow ms  without report  torch fused ms  torch/backflow")
    for number in range(1, arguments.rounds + 1):
        backflow, torch = run(ours), run(theirs)
        row = (backflow["adam"] / 1e3, backflow["adam without report"] / 1e3, torch["torch"] / 1e3)
        rounds.append((*row, row[2] / row[0], row[0] / row[1]))
        print(f"{number:5}  {row[0]:11.2f}  {row[1]:14.2f}  {row[2]:14.2f}  {row[2] / row[0]:14.2f}")
    median = [statistics.median(column) for column in zip(*rounds)]
    print(f"median {median[0]:11.2f}  {median[1]:14.2f}  {median[2]:14.2f}  {median[3]:14.2f}")
    print(f"the report costs a factor of {median[4]:.3f}")


if __name__ == "__main__":
    main()
