#!/usr/bin/env python3
"""Ask NumPy, pandas and Pillow for files and for what they read in them: writes crates/data/tests/files/.

    python3 -m venv venv && venv/bin/pip install numpy pandas pillow safetensors && venv/bin/python scripts/golden_data.py

Numbers of arrays are a function of their place, which the tests know as well: element i, in C's order, is v = 37 i mod 227,
less 100 in types with a sign, by 8 in those with fractions, v mod 3 = 0 as a truth value. What only the libraries know,
pixels of a JPEG or what pandas takes a text for, lies beside the file as an NPY file.
"""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from safetensors.numpy import save_file

TARGET = Path(__file__).resolve().parent.parent / "crates" / "data" / "tests" / "files"
DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
SHAPES = [(), (5,), (3, 4), (2, 3, 5), (0, 7), (1, 1, 2, 1)]


def values(dtype, shape):
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
    v = i * 37 % 227
    kind = np.dtype(dtype).kind
    if kind == "b":
        return (v % 3 == 0).reshape(shape)
    if kind in "if":
        v = v - 100
    if kind == "f":
        v = v / 8
    return v.astype(dtype).reshape(shape)


def npy(array, version=None):
    file = io.BytesIO()
    if version is None:
        np.save(file, array)
    else:
        np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def archive(path, files, method):
    with zipfile.ZipFile(path, "w", method) as zipped:
        for name, content in files:
            # The same bytes whenever it is written.
            zipped.writestr(zipfile.ZipInfo(name + ".npy"), content, method)


def arrays():
    files = []
    for dtype in DTYPES:
        for order, sign in [("little", "<"), ("big", ">")]:
            for shape in SHAPES:
                size = "x".join(map(str, shape))
                array = values(dtype, shape).astype(sign + dtype)
                name = f"{dtype.replace('?', 'b1')}_{order}_{size}"
                files.append((name + "_c", npy(array)))
                if len(shape) > 1:
                    files.append((name + "_f", npy(np.asfortranarray(array))))
    for version in [(1, 0), (2, 0), (3, 0)]:
        files.append((f"f4_little_3x4_version{version[0]}", npy(values("f4", (3, 4)), version)))
    archive(TARGET / "arrays.npz", files, zipfile.ZIP_DEFLATED)

    x, y = values("f4", (6, 4)), np.array([0, 1, 2, 0, 1, 2])
    np.savez(TARGET / "stored.npz", x=x, y=y)
    np.savez_compressed(TARGET / "deflated.npz", x=x, y=y)
    np.save(TARGET / "x.npy", x)
    np.save(TARGET / "y.npy", y)
    save_file({"x": x, "y": y}, TARGET / "set.safetensors")
    refused = {
        "objects": np.array([None, "a"], dtype=object),
        "text": np.array(["a", "b"]),
        "complex": np.array([1j]),
        "records": np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]),
        "dates": np.zeros(2, dtype="M8[s]"),
    }
    archive(TARGET / "refused.npz", [(name, npy(array)) for name, array in refused.items()], zipfile.ZIP_STORED)


def tables():
    """Numbers that take all digits of an f32, and cells that must be quoted."""
    rng = np.random.default_rng(7)
    numbers = rng.standard_normal((12, 2)) * 10.0 ** rng.integers(-6, 7, (12, 2))
    frame = pd.DataFrame(numbers, columns=["height, in m", 'the "mass"'])
    frame["kind"] = [["größer", 'a "b"', "c; d", "e\nf", 'a "b"'][i % 5] for i in range(12)]
    frame["count"] = np.arange(12) - 3
    frame.to_csv(TARGET / "table.csv", index=False)
    again = pd.read_csv(TARGET / "table.csv").drop(columns="kind")
    np.save(TARGET / "table.npy", again.to_numpy(np.float64).astype(np.float32))


def pictures():
    """Pictures of every kind that is read, what Pillow sees in them, and that resized; and some that are not read."""
    rows, columns = 12, 17
    y, x = np.mgrid[:rows, :columns]
    colours = np.stack([x * 15, y * 21, 255 - 5 * x - 11 * y], -1).astype(np.uint8)
    grey, opaque = Image.fromarray(colours[..., 0] // 2 + colours[..., 1] // 2), Image.fromarray(colours)
    with_alpha, see_through = opaque.convert("RGBA"), opaque.convert("RGBA")
    see_through.putpixel((3, 5), (1, 2, 3, 254))
    kinds = {
        "colours.png": (opaque, {}),
        "grey.png": (grey, {}),
        "bits.png": (grey.convert("1"), {}),
        "palette.png": (opaque.convert("P", palette=Image.Palette.ADAPTIVE, colors=16), {}),
        "opaque.png": (with_alpha, {}),
        "opaque-grey.png": (grey.convert("LA"), {}),
        "colours.jpg": (opaque, {"quality": 95, "subsampling": 0}),
        "progressive.jpg": (opaque, {"quality": 90, "progressive": True, "subsampling": 0}),
        "grey.jpg": (grey, {"quality": 95}),
        "subsampled.jpg": (opaque, {"quality": 90, "subsampling": 2}),
    }
    seen = []
    for folder in ["pictures", "pictures-refused"]:
        (TARGET / folder).mkdir()
    for name, (picture, options) in kinds.items():
        picture.save(TARGET / "pictures" / name, **options)
        with Image.open(TARGET / "pictures" / name) as again:
            is_grey = again.mode in ("1", "L", "LA")
            again = again.convert("L" if is_grey else "RGB")
        for kind, picture in [("", again), (" small", again.resize((8, 6), Image.Resampling.BILINEAR)),
                              (" large", again.resize((23, 30), Image.Resampling.BILINEAR))]:
            seen.append((name + kind, npy(np.asarray(picture))))
    archive(TARGET / "pictures.npz", seen, zipfile.ZIP_DEFLATED)
    see_through.save(TARGET / "pictures-refused" / "transparent.png")
    Image.fromarray((colours[..., 0].astype(np.uint16) * 257)).save(TARGET / "pictures-refused" / "deep.png")
    opaque.save(TARGET / "pictures-refused" / "other.gif")


def main():
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    arrays()
    tables()
    pictures()
    total = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    print(f"{TARGET}: {total} bytes")


if __name__ == "__main__":
    main()
