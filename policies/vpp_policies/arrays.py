"""Files of named arrays that anybody may have written: read without pickle; whatever is wrong is one error."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpp_env.errors import needs

Arrays = dict[str, NDArray[np.generic]]
MOST_BYTES = 2**28
"""Of arrays in one file of learned numbers [assumed]: those of the package take 2 MB, a zip may unfold to any size."""
MOST = 1e9
"""No number of such a file is larger in size, as none of a scenario is."""


def read_arrays(path: Path, most_bytes: float = MOST_BYTES) -> Arrays:
    """Read all arrays of a file.

    Parameters
    ----------
    path : Path
        The file.
    most_bytes : float
        What they may take together, unfolded.

    Raises
    ------
    ValueError
        When it is no such file, is damaged, needs pickle, or is larger; the message says which.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(sum(part.file_size for part in archive.infolist()), most_bytes)
        with np.load(path, allow_pickle=False) as parts:
            return {name: np.asarray(parts[name]) for name in parts}
    except Exception as error:  # a damaged zip or header raises anything: TokenError, zlib.error, MemoryError, ...
        raise ValueError(str(error) or type(error).__name__) from error


def _check_size(size: int, most: float) -> None:
    if size > most:
        raise ValueError(f"its arrays take {size} bytes; allowed are {most:g}")


def read_safetensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read all arrays of a file of safetensors, and what its metadata say.

    Raises
    ------
    ValueError
        As `read_arrays`.
    MissingExtraError
        When the library is not installed.
    """
    with needs(f"{path.name}: a file of safetensors"):
        from safetensors import SafetensorError, safe_open
    try:
        _check_size(path.stat().st_size, MOST_BYTES)
        with safe_open(path, framework="numpy") as parts:
            return {name: parts.get_tensor(name) for name in parts.keys()}, dict(parts.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def numbers(arrays: Arrays, name: str, shape: Sequence[int | None], most: float = MOST) -> NDArray[np.float64]:
    """Return one array as numbers up to `most` in size, of a shape in which None stands for any length from 1.

    Raises
    ------
    ValueError
        When it is not there, is of something else than numbers, has another shape, or holds another number.
    """
    if name not in arrays:
        raise ValueError(f"it has no {name!r}")
    found = arrays[name]
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    fits = found.ndim == len(shape) and all(
        n == m or (m is None and n > 0) for n, m in zip(found.shape, shape, strict=True)
    )
    if found.dtype.kind not in "fiu" or not fits:
        raise ValueError(f"{name!r} is {found.dtype} of shape {found.shape}; allowed are numbers of shape {wanted}")
    made = found.astype(np.float64)
    wrong = ~(np.abs(made) <= most)  # NaN is within no limits
    if wrong.any():
        raise ValueError(f"{name!r} holds {made[wrong][0]}; allowed are finite numbers up to {most:g}")
    return made


def whole(arrays: Arrays, name: str) -> int:
    """Return one array as a whole number.

    Raises
    ------
    ValueError
        When it is not there, or is none.
    """
    value = float(numbers(arrays, name, ()))
    if value != int(value):
        raise ValueError(f"{name!r} is {value}; allowed is a whole number")
    return int(value)
