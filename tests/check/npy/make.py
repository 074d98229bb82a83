"""Writes the .npy files of npy_test.cpp with NumPy itself. Usage: python make.py (needs numpy and ml_dtypes)."""

import pathlib

import ml_dtypes
import numpy as np

here = pathlib.Path(__file__).parent
grid = np.arange(6).reshape(2, 3)


def save(name, array):
    np.save(here / f"{name}.npy", array, allow_pickle=True)


for dtype in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 c8 c16".split():
    save(dtype, grid.astype(dtype) - (0 if dtype[0] == "u" else 2))
save("bool", grid % 2 == 0)
save("fortran", np.asfortranarray(np.arange(24, dtype="f4").reshape(2, 3, 4)))
save("scalar", np.float32(2.5))
save("empty", np.zeros((0, 3), "f4"))
save("vector", np.arange(5, dtype="i8"))
save("unicode", np.array([["a", "héllo"], ["", "日本𝄞"]]))
save("bytes", np.array([b"ab", b"c"]))
save("bfloat16", grid.astype(ml_dtypes.bfloat16))
save("big_endian", grid.astype(">f4"))
save("object", np.array([None, 1], dtype=object))
save("structured", np.zeros(2, dtype=[("x", "f4"), ("y", "i4")]))
for version in ((2, 0), (3, 0)):
    with open(here / f"version{version[0]}.npy", "wb") as file:
        np.lib.format.write_array(file, grid.astype("f4"), version=version)
