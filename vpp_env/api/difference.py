"""Difference rewards: what a team would have earned less without one home's bids.

    D_i = W(all bids) - W(all bids but home i's)

Wolpert and Tumer 2001, "Optimal payoff functions for members of collectives": what a home does moves D_i as it moves
W, since the second term knows nothing of it. It is exact over an episode, also for what a bid of today leaves in a
battery for tomorrow, because the month is played again to its end without the home's bids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.gym import VectorMarketMonth
from vpp_env.contract.bids import N_ACTION, encode
from vpp_env.errors import BidError
from vpp_env.scenario import Scenario
from vpp_env.units import Floats


def difference_rewards(
    scenario: Scenario | str | Path,
    seed: int,
    actions: NDArray[Any],
    options: Mapping[str, Any] | None = None,
    home_data: str | Path | None = None,
) -> Floats:
    """Difference reward of every home at every opportunity of an episode that was played.

    Parameters
    ----------
    scenario : Scenario, str or path
        The world.
    seed : int
        Of the episode, see the info of its reset.
    actions : ndarray
        (T, N, N_ACTION) what was bid in it. Schedules, firm capacity and overrides are left as without them.
    options : mapping, optional
        Of its reset; `{"month": "caiso:PGAE:2019-08"}` for measured prices.
    home_data : path, optional
        A folder of one's own homes, as the environment was made with.

    Returns
    -------
    ndarray
        (T, N) USD: welfare of the opportunity less that of the same opportunity where home i has bid nothing since the
        beginning. The sum over T is W - W(without i), to rounding; the sum over homes is not W. It takes N + 1 plays.

    Raises
    ------
    BidError
        When the actions are not of the whole episode.
    """
    if actions.ndim != 3 or actions.shape[2] != N_ACTION:
        raise BidError(f"difference_rewards: got actions {actions.shape}; allowed is (T, N, {N_ACTION})")
    homes = actions.shape[1]
    env = VectorMarketMonth(homes + 1, scenario, home_data=home_data)
    env.reset(seed=[seed] * (homes + 1), options=None if options is None else dict(options))
    nothing = encode(np.ones(1), np.ones(1))[0]
    welfare: list[Floats] = []
    over = False
    for bids in actions:
        if over:
            raise BidError(f"difference_rewards: got {len(actions)} opportunities; the episode has {len(welfare)}")
        each = np.repeat(bids[None], homes + 1, axis=0)
        each[np.arange(homes), np.arange(homes)] = nothing  # month i is without home i, the last one with all
        _, joint, _, ends, _ = env.step(each)
        welfare.append(joint)
        over = bool(ends.all())
    env.close()
    if not over:
        raise BidError(f"difference_rewards: got {len(actions)} opportunities; the episode has more")
    played = np.array(welfare)
    return np.asarray(played[:, -1:] - played[:, :-1])
