"""Files of learned numbers: weights, price models, data sets, evenings; changed at random, and used."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from vpp_benchmarks.train import data
from vpp_policies.fleet import DEFAULT_EVENINGS
from vpp_policies.forecast import DEFAULT_MODEL
from vpp_policies.learned import WEIGHTS

from tests.fuzz.harness import Attempt, Target, check_finite
from tests.fuzz.mutations import change_value, changed_bytes, pick
from tests.fuzz.scenarios import SEED, first_bids
from vpp_env.contract.policy import make_policy
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month

TAKES = {"weights": "learned(path='{}')", "prices": "mpc(forecaster='{}')", "evenings": "fleet(evenings='{}')"}
"""Kind of file -> who takes it."""


def array_of(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another array in the place of one: other numbers, shape or type."""
    kind = int(rng.integers(12))
    flat = np.array(value, copy=True)
    if kind <= 3 and flat.size and flat.dtype.kind in "fiu":
        odd = pick(rng, (np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0, -1.0, 1e30, 6e4, 255))
        with np.errstate(all="ignore"):
            flat.reshape(-1)[int(rng.integers(flat.size))] = np.array(odd).astype(flat.dtype)
        return flat
    if kind == 4:
        wanted = pick(rng, ("float16", "int64", "complex128", "bool", "U8", "S3", "float32"))
        return flat.astype(wanted if flat.dtype.kind in "fiub" else "S3")  # words are no numbers
    if kind == 5:
        return flat.reshape(-1)
    if kind == 6:
        return flat[..., :-1] if flat.ndim and flat.shape[-1] else flat[None]
    if kind == 7:
        return flat[None]
    if kind == 8:
        return np.array(pick(rng, (0, -1, 10**9, np.nan, 2, 2.5)))
    if kind == 9:
        return np.array(pick(rng, ("x", "", "a" * 1000)))
    if kind == 10:
        return np.zeros((0, *flat.shape[1:]), flat.dtype)
    return np.array([{"a": 1}, None], dtype=object)


def changed_npz(content: bytes, rng: np.random.Generator) -> bytes:
    """An .npz file of which bytes, a name, or an array was changed."""
    kind = int(rng.integers(10))
    if kind <= 1:
        return changed_bytes(content, rng)
    if kind == 2:  # a zip of something else
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
            for name in old.namelist():
                part = old.read(name)
                new.writestr(name, changed_bytes(part, rng) if rng.random() < 0.5 else part)
        return made.getvalue()
    if kind == 3:
        made = io.BytesIO()
        np.save(made, np.zeros((3, 3)))
        return made.getvalue()
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        parts = {name: archive[name] for name in archive}
    for _ in range(int(rng.integers(1, 3))):
        name = pick(rng, list(parts))
        other = pick(rng, ("w0", "layers", "x", "off", "observations"))
        if rng.random() < 0.15:
            parts[other] = parts.pop(name)
        elif rng.random() < 0.15 and len(parts) > 1:
            del parts[name]
        elif name == "about" and rng.random() < 0.7:
            about = json.loads(parts[name].tobytes())
            change_value(about, rng)
            parts[name] = np.frombuffer(json.dumps(about).encode(errors="replace"), dtype=np.uint8)
        else:
            parts[name] = array_of(parts[name], rng)
    made = io.BytesIO()
    np.savez(made, allow_pickle=True, **parts)
    return made.getvalue()


def changed_json(content: bytes, rng: np.random.Generator) -> bytes:
    """JSON of which bytes or a value was changed."""
    if rng.random() < 0.3:
        return changed_bytes(content, rng)
    made = json.loads(content)
    change_value(made, rng)
    return json.dumps(made).encode(errors="replace")


def _weights(valid: Path) -> Attempt:
    month = Month(load_scenario("quick").override({"time.duration_hours": 2, "market.firm_capacity": True}), SEED)
    made = valid / "data.npz"
    data.write(made, [data.played(load_scenario("quick").override({"time.duration_hours": 2}), "truthful", SEED)])
    contents = {
        "weights": [file.read_bytes() for file in sorted(WEIGHTS.glob("*.npz"))],
        "prices": [DEFAULT_MODEL.read_bytes()],
        "evenings": [DEFAULT_EVENINGS.read_bytes()],
        "data": [made.read_bytes()],
    }

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        kind = pick(rng, ("weights", "weights", "prices", "evenings", "data"))
        content = pick(rng, contents[kind])
        name = "f.json" if kind == "evenings" else "f.npz"
        Path(name).write_bytes(changed_json(content, rng) if kind == "evenings" else changed_npz(content, rng))
        if kind == "data":
            observations, actions = data.read(Path(name))
            layers, shares = data.clone(observations, actions)
            for part in layers[0]:
                check_finite("layer", part)
            check_finite("share explained", shares)
        else:
            bids = first_bids(make_policy(TAKES[kind].format(name)), month)
            check_finite("actions", bids.actions)
            check_finite("commitment", bids.capacity if bids.capacity is not None else 0.0)

    return attempt


LEARNED = Target("learned weights, price models, data sets", "bytes, names, shapes, types, values; used once", _weights)
