"""The plain floor of an audit: read, widen, one X·Xᵀ per factor, r x r singular values.

A program of its own (``python audit_floor.py FILE``), so that interpreter start counts on both
sides. What a person would write with NumPy alone in twenty lines; no robustness, no report.
"""

import json
import sys

import ml_dtypes
import numpy as np

BLOCK = 2048


def main(path: str) -> None:
    """Prints the largest singular value of every module."""
    with open(path, "rb") as file:  # noqa: PTH123  plain on purpose
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        grams: dict[str, list[np.ndarray]] = {}
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            file.seek(8 + length + start)
            factor = np.frombuffer(file.read(end - start), dtype=ml_dtypes.bfloat16)
            rows = factor.reshape(entry["shape"])
            if ".lora_B." in name:
                rows = rows.T
            gram = np.zeros((rows.shape[0], rows.shape[0]))
            for column in range(0, rows.shape[1], BLOCK):
                block = rows[:, column : column + BLOCK].astype(np.float64)
                gram += block @ block.T
            grams.setdefault(name.split(".lora_")[0], []).append(gram)
    roots = np.linalg.cholesky(np.array(list(grams.values())))
    values = np.linalg.svd(roots[:, 1].swapaxes(1, 2) @ roots[:, 0], compute_uv=False)
    print(values[:, 0].sum())


if __name__ == "__main__":
    main(sys.argv[1])
