"""A policy that was learned elsewhere: weights from a file, played on `view.observation()` row by row.

    learned(path="weights.npz")

The file is NumPy's own (`save` writes it) and is read without pickle, so that it can hold numbers only: layers of a
perceptron with tanh between them, or one layer, a linear policy. The last layer's output is clipped to the box of
actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
    N_ACTION,
    N_OBS,
    OBSERVATION_VERSION,
    Bids,
    Consent,
    Information,
    MarketRules,
    PolicyError,
    PolicyInfo,
    UnknownNameError,
    View,
    did_you_mean,
)
from vpp_policies.arrays import numbers, read_arrays, whole

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(inputs, outputs) weights and (outputs,) bias."""
WEIGHTS = Path(__file__).parent / "weights"
"""Weights that come with the package: `truthful_linear`, a linear copy of `truthful`, made by examples/clone_policy.py;
`evolved_week20`, made by `vpp-env train --out evolved_week20.npz`; `guarded_week20`, made by
`vpp-env train --set market.safeguard=true --out guarded_week20.npz`, for worlds with a safeguard, as are
`guarded_ippo_week20`, made by the same with `--method ippo --minutes 1`, `guarded_mappo_week20`, with `--method mappo
--minutes 1 --seed 2`, and `seasons_week20`, made by examples/train_seasons.py; `ippo_week20`, made by
`vpp-env train --out ippo_week20.npz --method ippo --minutes 1 --seed 1`; `evening_august`, for worlds that sell
evenings too, made by `vpp-env train --scenario august --set fleet.size=40 --set market.min_bid_mw=0.02
--minutes 4 --seed 1 --out evening_august.npz` (docs/learned.md)."""
DEFAULT = "truthful_linear"


def save(path: str | Path, layers: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]]) -> None:
    """Write layers to an .npz file, with the version of the observation that they were learned on.

    Parameters
    ----------
    path : path
        Ends in `.npz`.
    layers : sequence of (weights, bias)
        (inputs, outputs) and (outputs,); the first takes N_OBS columns, the last gives N_ACTION. Of a torch `Linear`:
        `layer.weight.T` and `layer.bias`.

    Raises
    ------
    PolicyError
        When the shapes do not fit together, or a weight is not a finite number.
    """
    if Path(path).suffix != ".npz":
        raise PolicyError(f"learned: got {str(path)!r}; allowed is a file that ends in .npz")
    _check(layers, str(path))
    parts = {f"{name}{j}": np.asarray(x) for j, layer in enumerate(layers) for name, x in zip("wb", layer, strict=True)}
    np.savez(path, observation_version=OBSERVATION_VERSION, layers=len(layers), **parts)  # type: ignore[arg-type]


def load(path: str | Path) -> list[Layer]:
    """Read the layers of a file, or of weights that come with the package (a name without an ending, see `WEIGHTS`).

    Raises
    ------
    UnknownNameError
        When the package has no such weights.
    PolicyError
        When there is no such file, it cannot be read, or was learned on other columns than today's.
    """
    file = Path(path).expanduser()
    shipped = {weights.stem: weights for weights in WEIGHTS.glob("*.npz")}
    if file.suffix == "" and file.name == str(path):
        if file.name not in shipped:
            remedy = "Or name a file, weights.npz."
            raise UnknownNameError(did_you_mean(file.name, shipped, "weights of the package", remedy))
        file = shipped[file.name]
    if not file.is_file():
        raise PolicyError(
            f"learned: there is no file {file}; allowed is one that `vpp-env train` or vpp_policies.learned.save has "
            f"written, or weights of the package: {', '.join(sorted(shipped))}"
        )
    try:
        parts = read_arrays(file)
        if not {"observation_version", "layers"} <= parts.keys():
            raise ValueError(f"it holds {sorted(parts)}")
        version, count = whole(parts, "observation_version"), whole(parts, "layers")
        if version != OBSERVATION_VERSION:
            raise ValueError(
                f"it was learned on version {version} of the observation; allowed is {OBSERVATION_VERSION}, whose "
                "columns are others: train it again"
            )
        if not 0 < count <= len(parts):
            raise ValueError(f"it says that it has {count} layers, and holds {', '.join(sorted(parts))}")
        layers = [(numbers(parts, f"w{j}", (None, None)), numbers(parts, f"b{j}", (None,))) for j in range(count)]
    except ValueError as error:
        raise PolicyError(
            f"learned: {file} cannot be read ({error}); allowed is an .npz file of plain numbers, as "
            "vpp_policies.learned.save writes it. Files that need pickle (.pt, .zip, .pkl) are not loaded: they can "
            "run any code"
        ) from error
    _check(layers, str(file))
    return layers


def _check(layers: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]], path: str) -> None:
    shapes = [(np.shape(w), np.shape(b)) for w, b in layers]
    width = N_OBS
    for w, b in shapes:
        if len(w) != 2 or w[0] != width or b != (w[1],):
            raise PolicyError(
                f"learned: {path} has layers {shapes}; allowed is (inputs, outputs), (outputs,) from {N_OBS}"
            )
        width = w[1]
    if not shapes or width != N_ACTION:
        raise PolicyError(f"learned: {path} has layers {shapes}; allowed is a last one with {N_ACTION} outputs")
    if not all(np.isfinite(x).all() for layer in layers for x in layer):
        raise PolicyError(f"learned: {path} holds weights that are not finite; allowed are numbers")


def actions(layers: Sequence[Layer], observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., N_ACTION) bids of (..., N_OBS) observations, each row from its own alone."""
    x = observations.astype(np.float64)
    for j, (weights, bias) in enumerate(layers):
        x = x @ weights + bias
        if j + 1 < len(layers):
            x = np.tanh(x)
    return np.clip(x, -1.0, 1.0).astype(np.float32)


class Learned:
    """Play weights from a file; every home by the same ones, from its own observation.

    Parameters
    ----------
    path : str, optional
        An .npz file that `save` wrote, or the name of weights of the package (`WEIGHTS`); None: `truthful_linear`.

    Raises
    ------
    PolicyError
        When it cannot be used, with the reason.
    """

    def __init__(self, path: str | None = None) -> None:
        self._take(load(DEFAULT if path is None else path))

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Learned:
        """Play layers that are in memory, see `save`."""
        _check(layers, "layers in memory")
        policy = cls.__new__(cls)
        policy._take(layers)
        return policy

    def _take(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        kind = "linear" if len(self._layers) == 1 else f"perceptron of {len(self._layers)} layers"
        self.info = PolicyInfo(
            name="learned",
            information=Information.OWN,
            consent=Consent.NEVER,
            description=f"learned weights, {kind}, one observation a home; nobody is asked",
        )

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Keep nothing: it has no memory."""

    def act(self, view: View) -> Bids:
        """Bid for every home from its own row."""
        return Bids(actions(self._layers, view.observation()))
