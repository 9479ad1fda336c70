#!/usr/bin/env python3
"""Make IDX files, which `--data` reads, of the Parquet files that Hugging Face has of MNIST and its like.

    pip install pyarrow pillow
    python3 scripts/parquet_to_idx.py train-00000-of-00001.parquet test-00000-of-00001.parquet data/mnist

The first file becomes the training set, the second the test set; either may be several, with commas between them. A row has a
picture, a struct with the `bytes` of a PNG or JPEG file, and an integer, its class, under any names. All pictures have one
size; those with colours become files with an axis of channels.
"""

import argparse
import io
import struct
from pathlib import Path

import pyarrow.parquet as parquet
import pyarrow.types as types
from PIL import Image


def write_idx(path, sizes, content):
    """Unsigned bytes; the file appears whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + content)
    partial.replace(path)


def convert(files, prefix, folder):
    pictures, labels, shape = [], bytearray(), None
    for file in files:
        table = parquet.read_table(file)
        fields = {field.name: field.type for field in table.schema}
        picture = next((name for name, kind in fields.items() if types.is_struct(kind)), None)
        label = next((name for name, kind in fields.items() if types.is_integer(kind)), None)
        if picture is None or label is None:
            raise SystemExit(f"{file}: no column of pictures or none of labels among {', '.join(fields)}")
        for row, (content, number) in enumerate(zip(table[picture].to_pylist(), table[label].to_pylist())):
            image = Image.open(io.BytesIO(content["bytes"]))
            image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
            own = (len(image.getbands()), image.height, image.width)
            if own != (shape := shape or own):
                raise SystemExit(f"{file}: row {row} is {own}, and the first picture {shape} (channels, rows, columns)")
            if not 0 <= number < 256:
                raise SystemExit(f"{file}: row {row} has the label {number}, and labels are bytes")
            pictures.append(b"".join(band.tobytes() for band in image.split()))
            labels.append(number)
    if not labels:
        raise SystemExit(f"{', '.join(files)}: no rows")
    axes = [len(labels), *(shape if shape[0] > 1 else shape[1:])]
    write_idx(folder / f"{prefix}-images-idx{len(axes)}-ubyte", axes, b"".join(pictures))
    write_idx(folder / f"{prefix}-labels-idx1-ubyte", [len(labels)], bytes(labels))
    print(f"{prefix}: {len(labels)} pictures of {shape[2]} by {shape[1]} in {shape[0]} channels, labels up to {max(labels)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    convert(arguments.train.split(","), "train", arguments.folder)
    convert(arguments.test.split(","), "t10k", arguments.folder)


if __name__ == "__main__":
    main()
