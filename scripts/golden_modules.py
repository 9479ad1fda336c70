#!/usr/bin/env python3
"""Make tests/golden/modules.safetensors: PyTorch's modules with their state dicts, what they compute, and their gradients.

    python3 scripts/golden_modules.py

With PyTorch 2.15 on one thread of a CPU. A module is a line of MODULES; tests/torch_weights.rs has one of the same name. The
numbers of state, x and cotangents are those of float32, so that both types compute with the same ones; outputs, and
gradients of the sum of <cotangent, output>, are float64. Names in the file are

    NAME.state.…    the state dict        NAME.x             the input
    NAME.y.0, …     the outputs           NAME.cotangent.0   what each is multiplied by
    NAME.gradient.… of each parameter     NAME.gradient_x    of the input, unless it is words

scripts/check_modules.py asks whether a file has the same states.
"""

import json
import struct
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "modules.safetensors"
SIZE_LIMIT = 600_000
TYPES = {
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


class Block(nn.Module):
    """A residual block as torchvision has it."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
        self.layer2 = nn.Sequential(Block(4, 6, 2), Block(6, 6, 1))
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.fc(x.mean((2, 3)))


class LanguageModel(nn.Module):
    """The words that come next, as in PyTorch's example of language models."""

    def __init__(self, is_tied=False):
        super().__init__()
        self.encoder = nn.Embedding(11, 6)
        self.rnn = nn.LSTM(6, 6, 2)
        self.decoder = nn.Linear(6, 11)
        if is_tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, words):
        y, _ = self.rnn(self.encoder(words))
        return self.decoder(y)


class CausalLanguageModel(nn.Module):
    """The same by attention that sees no later words."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(11, 6)
        layer = nn.TransformerEncoderLayer(6, 2, 8, 0.1, "gelu", norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, nn.LayerNorm(6), enable_nested_tensor=False)
        self.decoder = nn.Linear(6, 11)

    def forward(self, words):
        y = self.transformer(self.encoder(words), mask=causal(len(words)), is_causal=True)
        return self.decoder(y)


def causal(steps):
    """A mask by which no step sees later ones."""
    return nn.Transformer.generate_square_subsequent_mask(steps)


def mlp():
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))


def cnn():
    head = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*head, nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3))


def words(count, *shape):
    """An input of words, of which there are so many."""
    return lambda: torch.randint(count, shape)


def by_itself(module, x):
    return module(x)


def to_itself(attention, x):
    """The result, and the mean over heads of the weights."""
    return attention(x, x, x)


def to_others(attention, x):
    """Of keys and values with other numbers: those are parts of x."""
    return attention(x[:3], x[1:, :, :4], x[1:, :, 3:])


def decoded(decoder, x):
    """The first three steps, which look at themselves and at the others."""
    return decoder(x[:3], x[3:], tgt_mask=causal(3), tgt_is_causal=True)


def stepped(cell, x):
    """The state after all steps, which begins with zeros."""
    state = None
    for step in x:
        state = cell(step, state)
    return state


# Each with what makes it, the shape of its input or what makes that, and, where it is not `module(x)`, how it is called.
# Those whose names end in `training` are in that mode, the others in evaluation.
MODULES = {
    "linear": (lambda: nn.Linear(5, 4), (3, 5)),
    "linear_without_bias": (lambda: nn.Linear(5, 4, bias=False), (2, 3, 5)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 5), (2, 3, 9)),
    "conv1d_strided": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=3, dilation=2, groups=2), (2, 4, 10)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3), (2, 3, 6, 5)),
    "conv2d_strided": (lambda: nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=3), (2, 3, 7, 6)),
    "conv2d_dilated": (lambda: nn.Conv2d(2, 3, 3, dilation=2, padding="same", bias=False), (1, 2, 6, 5)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(4, 3, 3), (2, 4, 3, 4)),
    "conv_transpose2d_strided": (
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=(3, 2), padding=1, output_padding=(2, 1), groups=2),
        (1, 4, 3, 4),
    ),
    "embedding": (lambda: nn.Embedding(7, 4), words(7, 3, 2)),
    "embedding_padding": (lambda: nn.Embedding(7, 4, padding_idx=2), words(7, 3, 5)),
    "batch_norm1d": (lambda: nn.BatchNorm1d(3), (4, 3)),
    "batch_norm1d_training": (lambda: nn.BatchNorm1d(3), (4, 3, 5)),
    "batch_norm2d": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 3)),
    "batch_norm2d_training": (lambda: nn.BatchNorm2d(3, momentum=None), (2, 3, 4, 3)),
    "batch_norm2d_without_affine": (lambda: nn.BatchNorm2d(3, affine=False), (2, 3, 4, 3)),
    "batch_norm2d_without_statistics": (lambda: nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 4, 3)),
    "layer_norm": (lambda: nn.LayerNorm(6), (4, 6)),
    "layer_norm_without_bias": (lambda: nn.LayerNorm((2, 3), bias=False), (4, 2, 3)),
    "rms_norm": (lambda: nn.RMSNorm(6), (4, 6)),
    "group_norm": (lambda: nn.GroupNorm(2, 6), (2, 6, 2, 3)),
    "instance_norm2d": (lambda: nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 3)),
    "rnn": (lambda: nn.RNN(3, 4), (5, 2, 3)),
    "rnn_relu": (lambda: nn.RNN(3, 4, 2, nonlinearity="relu"), (5, 2, 3)),
    "rnn_bidirectional": (lambda: nn.RNN(3, 4, bidirectional=True), (5, 2, 3)),
    "rnn_without_bias": (lambda: nn.RNN(3, 4, bias=False), (5, 2, 3)),
    "lstm": (lambda: nn.LSTM(3, 4), (5, 2, 3)),
    "lstm_two_layers": (lambda: nn.LSTM(3, 4, 2), (5, 2, 3)),
    "lstm_bidirectional": (lambda: nn.LSTM(3, 4, 2, bidirectional=True), (5, 2, 3)),
    "lstm_projected": (lambda: nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True), (5, 2, 3)),
    "lstm_without_bias": (lambda: nn.LSTM(3, 4, bias=False), (5, 2, 3)),
    "lstm_batch_first": (lambda: nn.LSTM(3, 4, batch_first=True), (2, 5, 3)),
    "gru": (lambda: nn.GRU(3, 4), (5, 2, 3)),
    "gru_bidirectional": (lambda: nn.GRU(3, 4, 2, bidirectional=True), (5, 2, 3)),
    "gru_without_bias": (lambda: nn.GRU(3, 4, bias=False), (5, 2, 3)),
    "multihead_attention": (lambda: nn.MultiheadAttention(6, 2), (4, 2, 6), to_itself),
    "multihead_attention_batch_first": (lambda: nn.MultiheadAttention(6, 3, batch_first=True), (2, 4, 6), to_itself),
    "multihead_attention_without_bias": (lambda: nn.MultiheadAttention(6, 2, bias=False), (4, 2, 6), to_itself),
    "multihead_attention_cross": (lambda: nn.MultiheadAttention(6, 2, kdim=4, vdim=3), (5, 2, 6), to_others),
    "transformer_encoder_layer": (lambda: nn.TransformerEncoderLayer(6, 2, 8), (4, 2, 6)),
    "transformer_encoder_layer_norm_first": (
        lambda: nn.TransformerEncoderLayer(6, 2, 8, activation="gelu", norm_first=True, batch_first=True),
        (2, 4, 6),
    ),
    "transformer_encoder_layer_without_bias": (lambda: nn.TransformerEncoderLayer(6, 2, 8, bias=False), (4, 2, 6)),
    "transformer_decoder_layer": (lambda: nn.TransformerDecoderLayer(6, 2, 8), (7, 2, 6), decoded),
    "transformer_decoder_layer_norm_first": (
        lambda: nn.TransformerDecoderLayer(6, 2, 8, activation="gelu", norm_first=True),
        (7, 2, 6),
        decoded,
    ),
    "nested_mlp": (mlp, (3, 5)),
    "nested_cnn": (cnn, (2, 2, 6, 6)),
    "nested_resnet": (ResNet, (2, 2, 6, 6)),
    "nested_resnet_training": (ResNet, (4, 2, 6, 6)),
    "nested_language_model": (LanguageModel, words(11, 5, 2)),
    "nested_language_model_tied": (lambda: LanguageModel(is_tied=True), words(11, 5, 2)),
    "nested_transformer_encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8), 2, enable_nested_tensor=False),
        (4, 2, 6),
    ),
    "nested_transformer_decoder": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(6, 2, 8), 2, nn.LayerNorm(6)),
        (7, 2, 6),
        decoded,
    ),
    "nested_causal_language_model": (CausalLanguageModel, words(11, 5, 2)),
    "rnn_cell": (lambda: nn.RNNCell(3, 4), (3, 2, 3), stepped),
    "rnn_cell_relu": (lambda: nn.RNNCell(3, 4, bias=False, nonlinearity="relu"), (3, 2, 3), stepped),
    "lstm_cell": (lambda: nn.LSTMCell(3, 4), (3, 2, 3), stepped),
    "gru_cell": (lambda: nn.GRUCell(3, 4), (3, 2, 3), stepped),
}


def flat(outputs):
    """The tensors of nested tuples."""
    return [outputs] if torch.is_tensor(outputs) else [y for part in outputs for y in flat(part)]


def unlike(module):
    """Numbers that no layer begins with, so that none goes unread."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("num_batches_tracked"):
                buffer.fill_(7)
    return module


def results(module, x, cotangents, call):
    """The outputs, and the gradients by name."""
    x = x.detach().requires_grad_() if x.is_floating_point() else x
    outputs = flat(call(module, x))
    sum((y * c.to(y.dtype)).sum() for y, c in zip(outputs, cotangents)).backward()
    found = {f"y.{number}": y.detach() for number, y in enumerate(outputs)}
    found |= {f"gradient.{name}": p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    return found | ({"gradient_x": x.grad} if x.requires_grad else {})


def case(name, make, shape, call=by_itself):
    """What the file has of a module, and how far float32 is from float64, of the largest element of each tensor."""
    module = unlike(make()).train(name.endswith("training"))
    x = shape() if callable(shape) else torch.randn(shape)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    cotangents = [torch.randn(y.shape) for y in flat(call(module, x))]
    module.load_state_dict(state)
    single = results(module, x, cotangents, call)
    module.load_state_dict(state)
    module.zero_grad()
    double = results(module.double(), x.double() if x.is_floating_point() else x, cotangents, call)
    for key, y in double.items():
        if not y.any():
            sys.exit(f"{name}: {key} is 0, which a wrong layer may give, too")
    worst = max((single[key].double() - y).abs().max() / y.abs().max() for key, y in double.items())
    entries = {f"state.{key}": value for key, value in state.items()} | {"x": x} | double
    entries |= {f"cotangent.{number}": c for number, c in enumerate(cotangents)}
    return {f"{name}.{key}": value for key, value in entries.items()}, float(worst)


def halves():
    """Numbers of 16 bits as float32: each 61st of all there are, infinities, and what is near them."""
    bits = torch.cat([torch.arange(0, 65536, 61), torch.tensor([0x7BFF, 0x7C00, 0x7C01, 0xFC00, 0x7F80, 0xFF80, 0x7F7F, 1])])
    bits = torch.where(bits < 32768, bits, bits - 65536).to(torch.int16)
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        yield f"{name}.halves", bits.view(dtype)
        yield f"{name}.float", bits.view(dtype).float()


def write(path, tensors):
    """The file format: the length of a JSON header, the header, the elements."""
    header, body = {"__metadata__": {"torch": torch.__version__.split("+")[0]}}, bytearray()
    for name, tensor in tensors.items():
        start = len(body)
        body += tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, len(body)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = struct.pack("<Q", len(text)) + text + bytes(body)
    if len(data) > SIZE_LIMIT:
        sys.exit(f"{len(data)} bytes are more than the {SIZE_LIMIT} that the repository should carry")
    path.write_bytes(data)
    return len(data)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(7)
    tensors = dict(halves())
    for name, line in MODULES.items():
        entries, worst = case(name, *line)
        print(f"{name}: float32 is {worst:.1e} off")
        if worst > 2e-6 and not name.startswith("nested"):
            sys.exit(f"{name}: the test would ask more of others than PyTorch does")
        tensors |= entries
    print(f"{len(MODULES)} modules, {write(TARGET, tensors)} bytes")


if __name__ == "__main__":
    main()
