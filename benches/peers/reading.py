"""Files to numbers: Backflow; pandas' C parser, NumPy and Pillow, in turn, on this machine.

    cargo bench -p backflow-data --bench reading --no-run
    pip install pandas numpy pillow
    python benches/peers/reading.py [--rounds 5]

The files are a table of 100,000 rows of 30 floats and a target, an array of 100,000 by 784 f32, and 2,000 pictures each of
PNG and JPEG: photographs that are made, 64 by 64 in colours. Both read into arrays in memory, Backflow into a data set with
its checks. Each round runs both in processes of their own, one after the other, files warm; the table gives medians and the
ratio round by round. Pillow's time has the copy into an array, as Backflow's has.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

REPEATS = 5


def make(folder):
    import numpy as np
    import pandas as pd
    from PIL import Image

    rng = np.random.default_rng(0)
    columns = [f"x{i}" for i in range(30)] + ["y"]
    pd.DataFrame(rng.standard_normal((100_000, 31)), columns=columns).to_csv(folder / "table.csv", index=False)
    np.save(folder / "x.npy", rng.standard_normal((100_000, 784)).astype(np.float32))
    np.save(folder / "y.npy", rng.integers(0, 10, 100_000))
    y, x = np.mgrid[:64, :64] / 64
    for kind, suffix in [("png", "png"), ("jpeg", "jpg")]:
        for i in range(2_000):
            # Waves and grain: neither flat nor noise alone.
            waves = [np.sin(6 * (a * x + b * y) + c) for a, b, c in rng.uniform(-1, 1, (3, 3))]
            picture = (np.stack(waves, -1) * 100 + 128 + rng.normal(0, 4, (64, 64, 3))).clip(0, 255).astype(np.uint8)
            path = folder / kind / f"class{i % 10}" / f"{i}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def theirs(folder):
    """Runs in a process of its own; prints medians in milliseconds."""
    import numpy as np
    import pandas as pd
    from PIL import Image

    def pictures(kind):
        paths = sorted((folder / kind).glob("*/*"))
        return np.stack([np.asarray(Image.open(path)) for path in paths])

    work = {
        "csv": lambda: pd.read_csv(folder / "table.csv", engine="c"),
        "npy": lambda: (np.load(folder / "x.npy"), np.load(folder / "y.npy")),
        "png": lambda: pictures("png"),
        "jpeg": lambda: pictures("jpeg"),
    }
    for name, read in work.items():
        times = []
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            read()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"w": name, "med_ms": statistics.median(times[1:])}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--theirs", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.theirs:
        return theirs(pathlib.Path(arguments.theirs))

    def run(command):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {line["w"]: line["med_ms"] for line in map(json.loads, done.stdout.splitlines())}

    with tempfile.TemporaryDirectory() as folder:
        make(pathlib.Path(folder))
        ours = ["cargo", "bench", "--quiet", "-p", "backflow-data", "--bench", "reading", "--", folder]
        rounds = [(run(ours), run([sys.executable, __file__, "--theirs", folder])) for _ in range(arguments.rounds)]
    print("        backflow ms  peer ms  peer/backflow")
    for name in rounds[0][0]:
        median = [statistics.median(side[name] for side in both) for both in zip(*rounds)]
        ratio = statistics.median(other[name] / own[name] for own, other in rounds)
        print(f"{name:6}  {median[0]:11.1f}  {median[1]:7.1f}  {ratio:13.2f}")


if __name__ == "__main__":
    main()
