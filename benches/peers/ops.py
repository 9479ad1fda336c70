"""Time of every op of the catalogue, forwards and back: Backflow and PyTorch, in turn, on this machine.

    pip install torch==2.15.0
    python benches/peers/ops.py [--rounds 5] [--threads 1 2] [--seconds 0.03] [OP ...]

Backflow says which ops there are, on which operands (f32; elementwise ops 1024 x 256) and how PyTorch calls them
(`crates/tensor/benches/ops`); one that it does not know how to call stops the bench. Each framework is a process of its own, which
times an op when its turn comes and sleeps between; so a slow moment of a shared machine meets both. Timed is the call alone,
of operands that want no gradient ("forward"), and as one the call and the pass back, from a given gradient of its result to
those of all operands ("and back"). The table has the median over the rounds of each, in microseconds, and the median of
PyTorch's time to ours, round by round: below 1, PyTorch is faster.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TOGETHER = 20e-6
TARGET = 1.0


def serve():
    """Answers lines `QUESTION SECONDS`, a question being a line of Backflow's list."""
    import torch

    torch.set_num_threads(int(os.environ["THREADS"]))
    torch.manual_seed(0)

    @functools.cache
    def causal(steps):
        return torch.full((steps, steps), float("-inf")).triu(1)

    def operand(spec):
        if "limit" in spec:
            return torch.randint(spec["limit"], spec["shape"])
        return torch.empty(spec["shape"]).uniform_(*spec["range"])

    def median(seconds, call):
        call()
        start = time.perf_counter()
        call()
        together = max(1, min(10_000, -int(-TOGETHER // (time.perf_counter() - start))))
        times, begin = [], time.perf_counter()
        while not times or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            for _ in range(together):
                call()
            times.append((time.perf_counter() - start) * 1e6 / together)
        return statistics.median(times)

    names = {"torch": torch, "F": torch.nn.functional, "causal": causal}
    for line in sys.stdin:
        question, seconds = line.rsplit(" ", 1)
        question, seconds = json.loads(question), float(seconds)
        xs = [operand(spec) for spec in question["operands"]]
        call = eval(f"lambda {', '.join('abcdefgh'[: len(xs)])}: {question['torch']}", names)
        with torch.no_grad():
            answer = {"forward": median(seconds, lambda: call(*xs))}
        if question["orders"]:
            leaves = [x.requires_grad_() for x in xs if x.is_floating_point()]
            seed = torch.ones_like(call(*xs))
            answer["both"] = median(seconds, lambda: torch.autograd.grad(call(*xs), leaves, seed))
        print(json.dumps(answer), flush=True)


class Contestant:
    def __init__(self, command, threads):
        # OpenMP threads must not spin between turns.
        environment = dict(
            os.environ, RAYON_NUM_THREADS=str(threads), THREADS=str(threads), OMP_NUM_THREADS=str(threads), KMP_BLOCKTIME="0"
        )
        cores = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            command, env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def ask(self, question, seconds):
        self.process.stdin.write(f"{question} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"stopped at {question}")
        return json.loads(answer)


def program():
    build = ["cargo", "bench", "-p", "backflow-tensor", "--bench", "ops", "--no-run", "--message-format=json"]
    found = subprocess.run(build, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    artifacts = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    return next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "ops" and a.get("executable"))


def compare(chosen, program, threads, rounds, seconds):
    """The table for so many threads."""
    ours, theirs = Contestant([program, "--serve"], threads), Contestant([sys.executable, __file__, "--serve"], threads)
    print(f"{threads} thread{'s' * (threads > 1)}, microseconds")
    print(f"{'':20}{'forward':>10}{'PyTorch':>10}{'ratio':>8}{'and back':>12}{'PyTorch':>10}{'ratio':>8}", flush=True)
    ratios = {"forward": {}, "both": {}}
    for number, question in chosen:
        asked = [(ours, number), (theirs, json.dumps(question))]
        for contestant, what in asked:
            contestant.ask(what, 0.0)
        answers = []
        for turn in range(rounds):
            pair = [contestant.ask(what, seconds) for contestant, what in (asked if turn % 2 else asked[::-1])]
            answers.append(pair if turn % 2 else pair[::-1])
        line = f"{question['label'][:20]:20}"
        for way in answers[0][0]:
            own, other = (statistics.median(pair[side][way] for pair in answers) for side in (0, 1))
            ratio = statistics.median(pair[1][way] / pair[0][way] for pair in answers)
            ratios[way][question["label"]] = ratio
            line += f"{own:{12 if way == 'both' else 10}.1f}{other:10.1f}{ratio:8.2f}"
        print(line, flush=True)
    for way, found in ratios.items():
        if found:
            what = "forward" if way == "forward" else "and back"
            slower = sorted((ratio, label) for label, ratio in found.items() if ratio < TARGET)
            listed = ", ".join(f"{label} {ratio:.2f}" for ratio, label in slower)
            summary = f"{what}: median ratio {statistics.median(found.values()):.2f}; below {TARGET}: {listed or 'none'}"
            print(textwrap.fill(summary, 80, subsequent_indent="    "))
    print(flush=True)
    for contestant in (ours, theirs):
        contestant.process.stdin.close()
        contestant.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ops", nargs="*", metavar="OP", help="default: all of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.03)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve()
    backflow = program()
    listed = subprocess.run([backflow, "--list"], check=True, text=True, stdout=subprocess.PIPE).stdout
    questions = list(enumerate(json.loads(line) for line in listed.splitlines()))
    names = [question["label"].split()[0] for _, question in questions]
    if unknown := set(args.ops) - set(names):
        parser.error(f"not in the catalogue: {', '.join(sorted(unknown))}")
    chosen = [question for question, name in zip(questions, names) if not args.ops or name in args.ops]
    for threads in args.threads:
        compare(chosen, backflow, threads, args.rounds, args.seconds)


if __name__ == "__main__":
    main()
