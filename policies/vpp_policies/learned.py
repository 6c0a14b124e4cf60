"""A policy that was learned elsewhere: weights from a file, played on `view.observation()` row by row.

    learned(path="weights.npz")

The file is NumPy's own (`save` writes it) or one of safetensors. It is read without pickle, so that it can hold numbers
only: layers of a perceptron with tanh or relu between them, or one layer, a linear policy. The last layer's output is
clipped to the box of actions, or squashed into it by tanh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpp_env import (
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
from vpp_policies.arrays import Arrays, numbers, read_arrays, read_safetensors, whole
from vpp_policies.network import Layer, Network, bids_of, check_network

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
SAFETENSORS = ".safetensors"


def save(
    path: str | Path,
    layers: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]],
    between: str = "tanh",
    output: str = "clip",
) -> None:
    """Write layers to an .npz file, with the version of the observation that they were learned on.

    Parameters
    ----------
    path : path
        Ends in `.npz`.
    layers : sequence of (weights, bias)
        (inputs, outputs) and (outputs,); the first takes N_OBS columns, the last gives N_ACTION. Of a torch `Linear`:
        `layer.weight.T` and `layer.bias`.
    between : {"tanh", "relu"}
        What is between layers.
    output : {"clip", "tanh"}
        Whether the last layer's output is clipped to [-1, 1], or squashed.

    Raises
    ------
    PolicyError
        When the shapes do not fit together, a weight is not a finite number, or a function has another name.
    """
    if Path(path).suffix != ".npz":
        raise PolicyError(f"learned: got {str(path)!r}; allowed is a file that ends in .npz")
    numbers_of = [(np.asarray(w, dtype=np.float64), np.asarray(b, dtype=np.float64)) for w, b in layers]
    check_network(Network(numbers_of, between, output), str(path))
    parts = {f"{name}{j}": np.asarray(x) for j, layer in enumerate(layers) for name, x in zip("wb", layer, strict=True)}
    said = {"observation_version": OBSERVATION_VERSION, "layers": len(layers), "between": between, "output": output}
    np.savez(path, **said, **parts)  # type: ignore[arg-type]


def load(path: str | Path) -> list[Layer]:
    """Read the layers of a network with tanh between them and a clipped output; see `read`.

    Raises
    ------
    PolicyError
        When it is another network, or as `read` says.
    """
    found = read(path)
    if found[1:] != Network([])[1:]:
        raise PolicyError(
            f"learned: {path} has {found.between} between layers and {found.output} at the end; allowed here is tanh "
            "and clip"
        )
    return list(found.layers)


def read(path: str | Path) -> Network:
    """Read the network of a file, or of weights that come with the package (a name without an ending, see `WEIGHTS`).

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
        network = _of_tensors(file) if file.suffix == SAFETENSORS else _of_arrays(read_arrays(file))
    except ValueError as error:
        raise PolicyError(
            f"learned: {file} cannot be read ({error}); allowed is an .npz file of plain numbers, as "
            f"vpp_policies.learned.save writes it, or one that ends in {SAFETENSORS}. Files that need pickle (.pt, "
            ".zip, .pkl) are not loaded: they can run any code"
        ) from error
    check_network(network, str(file))
    return network


def _check_version(version: object) -> None:
    if version != OBSERVATION_VERSION:
        raise ValueError(
            f"it was learned on version {version} of the observation; allowed is {OBSERVATION_VERSION}, whose "
            "columns are others: train it again"
        )


def _of_arrays(parts: Arrays) -> Network:
    """Return the network of a file that `save` has written."""
    if not {"observation_version", "layers"} <= parts.keys():
        raise ValueError(f"it holds {sorted(parts)}")
    _check_version(whole(parts, "observation_version"))
    count = whole(parts, "layers")
    if not 0 < count <= len(parts):
        raise ValueError(f"it says that it has {count} layers, and holds {', '.join(sorted(parts))}")
    layers = [(numbers(parts, f"w{j}", (None, None)), numbers(parts, f"b{j}", (None,))) for j in range(count)]
    return _network(layers, parts)


def _network(layers: Sequence[Layer], said: Mapping[str, object]) -> Network:
    """Return the network of layers, with the functions that a file names, if it names any."""
    return Network(layers, **{name: str(said[name])[:20] for name in ("between", "output") if name in said})


def _of_tensors(file: Path) -> Network:
    """Return the network of a `state_dict` of Linear layers, in the order of their names, with its metadata.

    The metadata are text: `observation_version`, and `between` and `output` where they are not tanh and clip.
    """
    parts, said = read_safetensors(file)
    version = said.get("observation_version")
    if version is None:
        raise ValueError(
            "its metadata have no observation_version; write it with save_file(net.state_dict(), path, "
            'metadata={"observation_version": str(vpp_env.OBSERVATION_VERSION)})'
        )
    _check_version(int(version) if version.isdecimal() else repr(version[:20]))
    names = sorted({name.rpartition(".")[0] for name in parts}, key=_natural)
    if {f"{name}.{part}" for name in names for part in ("weight", "bias")} != parts.keys():
        raise ValueError(
            f"it holds {sorted(parts, key=_natural)}; allowed are the weight and bias of Linear layers, one after the "
            "other: write the actor alone"
        )
    layers = [(numbers(parts, f"{n}.weight", (None, None)).T, numbers(parts, f"{n}.bias", (None,))) for n in names]
    return _network(layers, said)


def _natural(name: str) -> list[tuple[int, str]]:
    """Order of names in which layer 10 comes after layer 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def actions(layers: Sequence[Layer], observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., N_ACTION) bids of (..., N_OBS) observations by layers with tanh between, each row from its own alone."""
    return bids_of(Network(layers), observations)


class Learned:
    """Play weights from a file; every home by the same ones, from its own observation.

    Parameters
    ----------
    path : str, optional
        An .npz file that `save` wrote, a .safetensors file of a torch module, or the name of weights of the package
        (`WEIGHTS`); None: `truthful_linear`.

    Raises
    ------
    PolicyError
        When it cannot be used, with the reason.
    """

    def __init__(self, path: str | None = None) -> None:
        self._take(read(DEFAULT if path is None else path))

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Learned:
        """Play layers that are in memory, with tanh between them; see `save`."""
        check_network(Network(layers), "layers in memory")
        policy = cls.__new__(cls)
        policy._take(Network(layers))
        return policy

    def _take(self, network: Network) -> None:
        self._network, count = network, len(network.layers)
        kind = "linear" if count == 1 else f"perceptron of {count} layers"
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
        return Bids(bids_of(self._network, view.observation()))
