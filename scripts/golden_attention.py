#!/usr/bin/env python3
"""Make tests/golden/attention.json: what PyTorch's attention and transformer layers give, and their gradients.

    python3 scripts/golden_attention.py tests/golden/attention.json

Written with PyTorch 2.15 on a CPU, in float64. Inputs and parameters are numbers that both sides make by one rule
(`numbers`), so the file holds results alone: of each case the names of the state, the result, the weights of attention
where there are any, and the gradients of the sum of the result times given numbers, by all inputs and parameters.
Long arrays are condensed, as those of golden_ops.py.
"""

import json
import math
import sys
from pathlib import Path

import torch
from golden_ops import condense
from torch import nn

F64 = torch.float64
LENGTHS = [2, 4, 3]


def numbers(shape, salt):
    """Numbers in ±1/2, the same here and in crates/nn/tests/golden: element i is ((37 i + 29 salt + 11) mod 101 − 50) / 100."""
    data = [((37 * i + 29 * salt + 11) % 101 - 50) / 100 for i in range(math.prod(shape))]
    return torch.tensor(data, dtype=F64).reshape(shape)


def causal(steps, keys):
    return torch.ones(steps, keys, dtype=torch.bool).triu(1)


def padding(keys):
    return torch.arange(keys) >= torch.tensor(LENGTHS)[:, None]


def additive(steps, keys):
    return numbers([steps, keys], 90).masked_fill(torch.eye(steps, keys, dtype=torch.bool), -math.inf)


def attention(steps, sizes, masks, **options):
    """Queries of 4 steps in 3 sequences, keys and values of `steps`."""
    layer = nn.MultiheadAttention(6, 2, dtype=F64, **options)
    inputs = [[4, 3, 6]] if sizes is None else [[4, 3, 6], [steps, 3, sizes[0]], [steps, 3, sizes[1]]]
    if options.get("batch_first"):
        inputs = [[shape[1], shape[0], shape[2]] for shape in inputs]

    def run(layer, inputs):
        query, key, value = inputs * 3 if len(inputs) == 1 else inputs
        return layer(query, key, value, average_attn_weights=False, **masks)

    return layer, inputs, run


def encoder(layers=None, norm=False, masks=None, **options):
    layer = nn.TransformerEncoderLayer(6, 2, 5, dropout=0.0, dtype=F64, **options)
    if layers:
        norm = nn.LayerNorm(6, dtype=F64) if norm else None
        layer = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
    shape = [3, 4, 6] if options.get("batch_first") else [4, 3, 6]
    return layer, [shape], lambda layer, inputs: (layer(*inputs, **(masks or {})), None)


def decoder(layers=None, norm=False, **options):
    layer = nn.TransformerDecoderLayer(6, 2, 5, dropout=0.0, dtype=F64, **options)
    if layers:
        layer = nn.TransformerDecoder(layer, layers, nn.LayerNorm(6, dtype=F64) if norm else None)
    masks = dict(tgt_mask=causal(5, 5), memory_key_padding_mask=padding(4))
    return layer, [[5, 3, 6], [4, 3, 6]], lambda layer, inputs: (layer(*inputs, **masks), None)


BOTH = dict(attn_mask=causal(4, 4), key_padding_mask=padding(4))
ENCODER = dict(src_key_padding_mask=padding(4))
STACK = dict(mask=causal(4, 4), src_key_padding_mask=padding(4))
GELU = dict(activation="gelu", norm_first=True)
CASES = {
    "attention": attention(4, None, {}),
    "attention causal": attention(4, None, dict(attn_mask=causal(4, 4))),
    "attention padding": attention(4, None, dict(key_padding_mask=padding(4))),
    "attention causal padding": attention(4, None, BOTH, batch_first=True),
    "attention additive": attention(4, None, dict(attn_mask=additive(4, 4))),
    "attention without bias": attention(4, None, {}, bias=False),
    "attention cross": attention(5, [6, 6], dict(attn_mask=causal(4, 5))),
    "attention kdim vdim": attention(5, [3, 7], dict(attn_mask=additive(4, 5)), kdim=3, vdim=7),
    "encoder layer": encoder(masks=ENCODER),
    "encoder layer norm_first gelu": encoder(batch_first=True, **GELU),
    "encoder layer without bias": encoder(bias=False),
    "encoder": encoder(2, masks=STACK),
    "encoder with norm": encoder(2, True, STACK, **GELU),
    "decoder layer": decoder(),
    "decoder layer norm_first gelu": decoder(**GELU),
    "decoder with norm": decoder(2, True),
}


def stored(x):
    return condense(x.detach().flatten().tolist())


def case(name):
    layer, shapes, run = CASES[name]
    layer.train()
    with torch.no_grad():
        for salt, parameter in enumerate(layer.state_dict().values()):
            parameter.copy_(numbers(parameter.shape, salt))
    inputs = [(4 * numbers(shape, 50 + salt)).requires_grad_() for salt, shape in enumerate(shapes)]
    y, weights = run(layer, inputs)
    named = dict(layer.named_parameters())
    gradients = torch.autograd.grad((y * numbers(y.shape, 70)).sum(), [*inputs, *named.values()])
    return {
        "name": name,
        "state": list(layer.state_dict()),
        "y": stored(y),
        "weights": [] if weights is None else stored(weights),
        "inputs": [stored(dx) for dx in gradients[: len(inputs)]],
        "parameters": {name: stored(dw) for name, dw in zip(named, gradients[len(inputs) :])},
    }


def main():
    document = {"made_by": f"scripts/golden_attention.py, PyTorch {torch.__version__.split('+')[0]}"}
    document["cases"] = [case(name) for name in CASES]
    Path(sys.argv[1]).write_text(json.dumps(document) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
