"""Time of a training step: Backflow, PyTorch, JAX and candle, in turn, on this machine.

    pip install torch==2.15.0 numpy "jax[cpu]==0.10.2" optax==0.2.8
    cargo build --release --manifest-path benches/peers/candle_step/Cargo.toml      (3 minutes; left out where it is missing)
    python benches/peers/step.py [--rounds 7] [--threads 2] [--seconds 0.5] [WORKLOAD ...]

Every framework is a process of its own, which is asked for some steps of a workload when its turn comes and sleeps between; so
a slow moment of a shared machine meets all of them. The table has the median step of each over the rounds, and beside it how many times
as long as Backflow the peer took, round by round: the median, and the least and the most. Workloads are those of
`benches/step/workload.rs`: the same sizes, batches, losses and rules.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ["torch-fused", "torch-compile", "jax", "candle"]


def stack(depth):
    return [64] * depth + [10]


# name: sizes, activation, batch, rule
WORKLOADS = {
    "tiny": ([2, 16, 16, 2], "tanh", 32, "sgd"),
    "mlp_small": ([784, 256, 128, 10], "relu", 64, "adam"),
    "deep_sigmoid": ([784] + [64] * 30 + [10], "sigmoid", 64, "sgd"),
    "wide_mlp": ([784, 2048, 2048, 10], "relu", 512, "adam"),
    "mlp_batch_1": ([784, 256, 128, 10], "relu", 1, "adam"),
    "mlp_batch_4096": ([784, 256, 128, 10], "relu", 4096, "adam"),
    "subnormal": (stack(100), "sigmoid", 64, "sgd"),
    **{f"deep_{depth}": (stack(depth), "relu", 64, "sgd") for depth in [10, 30, 100, 300, 1000]},
}
# name: the shape of a batch of images, rule
IMAGES = {"cnn": ([64, 1, 28, 28], "adam"), "resnet_8": ([64, 3, 32, 32], "sgd")}
# name: the shape of a batch of sequences
SEQUENCES = {"lstm": [64, 28, 28], "gru": [64, 28, 28], "rnn_by_hand": [16, 50, 64], "transformer": [32, 64, 64]}
DEFAULT = ["tiny", "mlp_small", "deep_sigmoid", "wide_mlp"]
LEARNING_RATE = 1e-5
STEPS, WARM_UP = 2000, 5


def torch_cnn():
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )


def torch_resnet_8():
    from torch import nn

    def conv(inputs, outputs, stride=1, kernel=3):
        return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.branch = nn.Sequential(*conv(inputs, outputs, stride), nn.ReLU(), *conv(outputs, outputs))
            changes = inputs != outputs
            self.shortcut = nn.Sequential(*conv(inputs, outputs, stride, 1)) if changes else nn.Identity()

        def forward(self, x):
            return (self.shortcut(x) + self.branch(x)).relu()

    return nn.Sequential(
        *conv(3, 16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(64, 10),
    )


def torch_sequences(name):
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            inputs = SEQUENCES[name][2]
            if name == "transformer":
                layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.1, batch_first=True)
                self.body, hidden = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), 64
            else:
                kind, hidden = {"lstm": (nn.LSTM, 128), "gru": (nn.GRU, 128), "rnn_by_hand": (nn.RNN, 64)}[name]
                self.body = kind(inputs, hidden, batch_first=True)
            self.head = nn.Linear(hidden, 10)

        def forward(self, x):
            y = self.body(x)
            return self.head(y.mean(1) if name == "transformer" else y[0][:, -1])

    return Model()


def torch_step(name, compiled):
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(int(os.environ["THREADS"]))
    torch.manual_seed(0)
    if name in SEQUENCES:
        model, rule = torch_sequences(name), "adam"
        x, y = torch.randn(SEQUENCES[name]), torch.arange(SEQUENCES[name][0]) % 10
    elif name in IMAGES:
        shape, rule = IMAGES[name]
        model = {"cnn": torch_cnn, "resnet_8": torch_resnet_8}[name]()
        x, y = torch.randn(shape), torch.arange(shape[0]) % 10
    else:
        sizes, activation, batch, rule = WORKLOADS[name]
        functions = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}
        layers = []
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            layers.append(nn.Linear(inputs, outputs))
            # Random weights of the same size as Backflow's: what vanishes here must vanish there.
            nn.init.normal_(layers[-1].weight, std=(2 if activation == "relu" else 1) ** 0.5 / inputs**0.5)
            nn.init.zeros_(layers[-1].bias)
            if i < len(sizes) - 2:
                layers.append(functions[activation]())
        model = nn.Sequential(*layers)
        x, y = torch.randn(batch, sizes[0]), torch.arange(batch) % sizes[-1]
    optimizer = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[rule](model.parameters(), LEARNING_RATE, fused=True)

    def loss_of(x, y):
        return F.cross_entropy(model(x), y)

    loss_of = torch.compile(loss_of) if compiled else loss_of

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()

    return step


def jax_step(name):
    import jax
    import jax.numpy as jnp
    import optax

    if name == "cnn":
        return jax_cnn_step()
    if name == "lstm":
        return jax_lstm_step()
    sizes, activation, batch, rule = WORKLOADS[name]
    act = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[activation]
    keys = jax.random.split(jax.random.PRNGKey(0), len(sizes))
    gain = 2 if activation == "relu" else 1
    pairs = list(zip(keys, sizes, sizes[1:]))
    params = [(jax.random.normal(k, (i, o)) * (gain / i) ** 0.5, jnp.zeros(o)) for k, i, o in pairs]

    def loss_of(params, x, y):
        for w, b in params[:-1]:
            x = act(x @ w + b)
        w, b = params[-1]
        return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()

    x, y = jax.random.normal(keys[-1], (batch, sizes[0])), jnp.arange(batch) % sizes[-1]
    return jax_steps(params, loss_of, x, y, rule)


def jax_cnn_step():
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.PRNGKey(0), 5)
    he = lambda key, shape, inputs: (jax.random.normal(key, shape) * (2 / inputs) ** 0.5, jnp.zeros(shape[-1]))
    params = [
        he(keys[0], (3, 3, 1, 32), 9), he(keys[1], (3, 3, 32, 64), 288), he(keys[2], (9216, 128), 9216),
        he(keys[3], (128, 10), 128),
    ]

    def loss_of(params, x, y):
        for w, b in params[:2]:
            x = jax.nn.relu(jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").reshape(x.shape[0], -1)
        (w, b), (v, c) = params[2:]
        return optax.softmax_cross_entropy_with_integer_labels(jax.nn.relu(x @ w + b) @ v + c, y).mean()

    x, y = jax.random.normal(keys[4], (64, 28, 28, 1)), jnp.arange(64) % 10
    return jax_steps(params, loss_of, x, y, "adam")


def jax_lstm_step():
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.PRNGKey(0), 5)
    draw = lambda key, *shape: jax.random.uniform(key, shape, minval=-1, maxval=1) / 128**0.5
    params = [(draw(keys[0], 28, 512), draw(keys[1], 128, 512), jnp.zeros(512)), (draw(keys[2], 128, 10), jnp.zeros(10))]

    def loss_of(params, x, y):
        (w, u, b), (v, c) = params

        def cell(state, sums):
            h, c = state
            i, f, g, o = jnp.split(sums + h @ u, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((64, 128))
        (h, _), _ = jax.lax.scan(cell, (zeros, zeros), jnp.swapaxes(x @ w + b, 0, 1))
        return optax.softmax_cross_entropy_with_integer_labels(h @ v + c, y).mean()

    x, y = jax.random.normal(keys[4], (64, 28, 28)), jnp.arange(64) % 10
    return jax_steps(params, loss_of, x, y, "adam")


def jax_steps(params, loss_of, x, y, rule):
    import jax
    import optax

    optimizer = {"adam": optax.adam, "sgd": optax.sgd}[rule](LEARNING_RATE)
    state = optimizer.init(params)

    def update(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    update = jax.jit(update, donate_argnums=(0, 1))

    def step():
        nonlocal params, state
        params, state, loss = update(params, state, x, y)
        loss.block_until_ready()

    return step


def serve(peer):
    """Answers lines `WORKLOAD SECONDS`, as `cargo bench --bench step -- --serve` does."""
    running = {}
    for question in sys.stdin:
        name, seconds = question.split()
        if name not in running:
            running[name] = jax_step(name) if peer == "jax" else torch_step(name, peer == "torch-compile")
        step, times = running[name], []
        for _ in range(WARM_UP):
            step()
        begin = time.perf_counter()
        while not times or len(times) < STEPS and time.perf_counter() - begin < float(seconds):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e6)
        times.sort()
        n = len(times)
        print(json.dumps({"peer": peer, "w": name, "n": n, "med_us": times[n // 2], "p10_us": times[n // 10]}), flush=True)


class Contestant:
    def __init__(self, peer, command, threads):
        # XLA takes as many threads as it may run on; PyTorch is told; so is Backflow. OpenMP threads must not spin between turns.
        environment = dict(
            os.environ, RAYON_NUM_THREADS=str(threads), THREADS=str(threads), OMP_NUM_THREADS=str(threads), KMP_BLOCKTIME="0"
        )
        environment.pop("OPENBLAS_CORETYPE", None)
        cores = sorted(os.sched_getaffinity(0))[:threads]
        pin = lambda: os.sched_setaffinity(0, cores)
        self.peer, self.results = peer, {}
        self.process = subprocess.Popen(
            command, env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, preexec_fn=pin,
        )

    def ask(self, workload, seconds):
        self.process.stdin.write(f"{workload} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.peer}: stopped at {workload}; is it installed?")
        return json.loads(answer)["med_us"]


def commands(wanted):
    build = ["cargo", "bench", "--bench", "step", "--no-run", "--message-format=json"]
    found = subprocess.run(build, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    artifacts = [json.loads(line) for line in found.splitlines() if line.startswith("{")]
    program = next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "step" and a.get("executable"))
    result = {"backflow": [program, "--serve"]}
    for peer in wanted:
        candle = HERE / "candle_step/target/release/candle_step"
        if peer != "candle":
            result[peer] = [sys.executable, __file__, "--serve", peer]
        elif candle.exists():
            result[peer] = [str(candle)]
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--peers", nargs="*", default=PEERS)
    parser.add_argument("--serve", metavar="PEER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    contestants = [Contestant(peer, command, args.threads) for peer, command in commands(args.peers).items()]
    print(f"{'workload':16}{'peer':16}{'median us':>12}{'x backflow':>12}{'least':>8}{'most':>8}")
    everyone = contestants
    for workload in args.workloads or DEFAULT:
        # JAX and candle have no resnet here; with dropout, no peer stands beside us.
        without = {"resnet_8": ["candle", "jax"], "mlp_small_dropout": PEERS, "lstm": ["candle"]}.get(
            workload, ["candle", "jax"] if workload in SEQUENCES else []
        )
        contestants = [contestant for contestant in everyone if contestant.peer not in without]
        # Not timed: compiling, first touches of memory.
        for contestant in contestants:
            contestant.ask(workload, 0.1)
        times = {contestant.peer: [] for contestant in contestants}
        for turn in range(args.rounds):
            for i in range(len(contestants)):
                contestant = contestants[(i + turn) % len(contestants)]
                times[contestant.peer].append(contestant.ask(workload, args.seconds))
        for peer, medians in times.items():
            ratios = [t / own for t, own in zip(medians, times["backflow"])]
            print(
                f"{workload:16}{peer:16}{statistics.median(medians):12.1f}{statistics.median(ratios):12.2f}"
                f"{min(ratios):8.2f}{max(ratios):8.2f}",
                flush=True,
            )
    for contestant in everyone:
        contestant.process.stdin.close()


if __name__ == "__main__":
    main()
