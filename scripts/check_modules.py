#!/usr/bin/env python3
"""Say whether a file has the states of PyTorch's modules that tests/golden/modules.safetensors has, number by number.

    python3 scripts/check_modules.py FILE

Both are read by safetensors, the package by which PyTorch's users read weights (`pip install safetensors numpy`). Where PyTorch is
installed, too, its modules load the states of FILE under the names that they have themselves. tests/torch_weights.rs asks this.
"""

import sys
from pathlib import Path

from safetensors import safe_open

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "modules.safetensors"


def states(path):
    """The states that a file has, by module and name."""
    found = {}
    with safe_open(path, framework="numpy") as file:
        for key in file.keys():
            module, is_state, name = key.partition(".state.")
            if is_state:
                found.setdefault(module, {})[name] = file.get_tensor(key)
    return found


def is_same(a, b):
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def check_in_torch(theirs):
    """Whether PyTorch's modules take the states, and have them then."""
    import torch

    from golden_modules import MODULES

    if MODULES.keys() != theirs.keys():
        sys.exit(f"there are other modules: {sorted(MODULES.keys() ^ theirs.keys())}")
    for name, (make, *_) in MODULES.items():
        module = make()
        module.load_state_dict({key: torch.from_numpy(x) for key, x in theirs[name].items()}, strict=True)
        for key, x in module.state_dict().items():
            if not is_same(x.numpy(), theirs[name][key]):
                sys.exit(f"{name}: {key} is another once PyTorch has loaded it")


def main():
    theirs, golden = states(sys.argv[1]), states(GOLDEN)
    if theirs.keys() != golden.keys():
        sys.exit(f"there are other modules: {sorted(theirs.keys() ^ golden.keys())}")
    for module, state in golden.items():
        if theirs[module].keys() != state.keys():
            sys.exit(f"{module}: there are other tensors: {sorted(theirs[module].keys() ^ state.keys())}")
        for name, x in state.items():
            if not is_same(theirs[module][name], x):
                sys.exit(f"{module}: {name} is another")
    try:
        check_in_torch(theirs)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
    print(f"{len(golden)} modules are as they were")


if __name__ == "__main__":
    main()
