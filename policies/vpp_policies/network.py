"""A learned network: layers, what is between them, and how its output becomes a bid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpp_env import N_ACTION, N_OBS, PolicyError

Layer = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(inputs, outputs) weights and (outputs,) bias."""
Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
BETWEEN: dict[str, Function] = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}
"""What may be between layers."""
OUTPUT: dict[str, Function] = {"clip": lambda x: np.clip(x, -1.0, 1.0), "tanh": np.tanh}
"""How the last layer's output becomes a bid in [-1, 1]: cut off, or squashed as by SAC and TD3."""


class Network(NamedTuple):
    """A perceptron, or with one layer a linear policy."""

    layers: Sequence[Layer]
    between: str = "tanh"  # of BETWEEN
    output: str = "clip"  # of OUTPUT


def check_network(network: Network, path: str) -> None:
    """Raise `PolicyError` where a network, of a file at `path`, does not make bids of observations."""
    for what, name, allowed in (("between", network.between, BETWEEN), ("output", network.output, OUTPUT)):
        if name not in allowed:
            raise PolicyError(f"learned: {path} has {what} {name!r}; allowed is {' or '.join(map(repr, allowed))}")
    shapes = [(np.shape(w), np.shape(b)) for w, b in network.layers]
    width = N_OBS
    for w, b in shapes:
        if len(w) != 2 or w[0] != width or b != (w[1],):
            raise PolicyError(
                f"learned: {path} has layers {shapes}; allowed is (inputs, outputs), (outputs,) from {N_OBS}"
            )
        width = w[1]
    if not shapes or width != N_ACTION:
        raise PolicyError(f"learned: {path} has layers {shapes}; allowed is a last one with {N_ACTION} outputs")
    if not all(np.isfinite(x).all() for layer in network.layers for x in layer):
        raise PolicyError(f"learned: {path} holds weights that are not finite; allowed are numbers")


def bids_of(network: Network, observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., N_ACTION) bids of (..., N_OBS) observations, each row from its own alone."""
    between, x = BETWEEN[network.between], observations.astype(np.float64)
    for j, (weights, bias) in enumerate(network.layers):
        x = x @ weights + bias
        if j + 1 < len(network.layers):
            x = between(x)
    return OUTPUT[network.output](x).astype(np.float32)
