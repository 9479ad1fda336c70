"""Hashes of the weights that a program trains, over its settings, so that a redesign can show that it keeps every bit.

    python3 scripts/weight_hashes.py PROGRAM > before.txt        # a build of `backflow` from before the change
    python3 scripts/weight_hashes.py PROGRAM | diff before.txt - # a build from after it

Settings: activation x element type x optimizer x probe x flushing x threads, in runs chosen so that every pair of values
occurs in one of them. Each run is an epoch on the embedded digits. Printed are SHA-256 of the weights' file and, with `--flow`, of the
records of the flow as well (they depend on the format of the log). Python's standard library is all that this needs.
"""

import argparse
import gzip
import hashlib
import itertools
import pathlib
import subprocess
import tempfile

SETTINGS = {
    "activation": ["relu", "sigmoid", "tanh", "gelu"],
    "dtype": ["f32", "f64"],
    "optimizer": ["adam", "sgd", "muon", "sam", "lbfgs", "schedule-free"],
    "probe": ["off", "full"],
    "flush-to-zero": [False, True],
    "threads": [1, 2, 4],
}


def pairwise(settings):
    """Rows of settings in which every pair of values of two settings occurs: greedy, and the same at each call."""
    names = list(settings)
    left = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(names, 2)
        for x in settings[a]
        for y in settings[b]
    }
    every = [dict(zip(names, values)) for values in itertools.product(*settings.values())]

    def new_pairs(row):
        return sum(((a, row[a]), (b, row[b])) in left for a, b in itertools.combinations(names, 2))

    while left:
        row = max(every, key=new_pairs)
        left -= {((a, row[a]), (b, row[b])) for a, b in itertools.combinations(names, 2)}
        yield row


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--layers", default="784,64,48,32,10")
    parser.add_argument("--flow", action="store_true", help="hash the records of the flow, too")
    options = parser.parse_args()
    for row in pairwise(SETTINGS):
        words = [options.program.resolve(), "train", "--epochs", "1", "--layers", options.layers]
        for name, value in row.items():
            words += [f"--{name}"] if value is True else [] if value is False else [f"--{name}", str(value)]
        with tempfile.TemporaryDirectory() as folder:
            run = pathlib.Path(folder) / "run"
            subprocess.run([*words, "--out", run], check=True, capture_output=True)
            hashes = [sha256(run / "model.safetensors")]
            if options.flow and row["probe"] != "off":
                hashes.append(hashlib.sha256(gzip.decompress((run / "flow.jsonl.gz").read_bytes())).hexdigest())
        print(*(f"{name}={value}" for name, value in row.items()), *hashes, flush=True)


if __name__ == "__main__":
    main()
