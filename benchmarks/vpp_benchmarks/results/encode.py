"""Results as bytes: strict JSON, and parquet that is the same for the same table."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd


def is_time(name: str) -> bool:
    """Whether a column is a measured time."""
    return name == "seconds" or name.endswith(("_time", "_seconds"))


def plain(value: Any) -> Any:
    """Return `value` as strict JSON data: dataclasses as mappings, numpy as Python, not-a-number as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return the table as parquet; the same table gives the same bytes."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_json(data: Mapping[str, Any]) -> bytes:
    """Return strict JSON: not-a-number is an error, not a token that no other reader knows."""
    return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
