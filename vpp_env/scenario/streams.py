"""Named, independent random streams of one seed.

One seed -> numpy `SeedSequence` -> streams addressed by explicit `spawn_key`, never by the stateful
`spawn()`: the numbers of a stream do not depend on which other streams were drawn, or in what order. The same
seed therefore gives the same world to every policy (common random numbers), whichever API drives it.
"""

from __future__ import annotations

import numpy as np

from vpp_env.errors import UnknownNameError, did_you_mean

STREAMS = {
    "fleet": 1,
    "statements": 2,
    "weather": 3,
    "prices": 4,
    "solar": 5,
    "load": 6,
    "vehicles": 7,
    "market": 8,
    "policy": 9,
    "owners": 10,
}
"""Stream name -> first element of its spawn key. Append only: the numbers are part of every result."""


def stream(seed: int, name: str, *key: int) -> np.random.Generator:
    """Return the generator of stream `name` of `seed`; `key` (for example a day index >= 0) picks a sub-stream.

    Raises
    ------
    UnknownNameError
        When `name` is no stream.
    """
    if name not in STREAMS:
        raise UnknownNameError(did_you_mean(name, STREAMS, "random stream"))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS[name], *key)))
