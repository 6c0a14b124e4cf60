"""PettingZoo: the month as a `ParallelEnv`, and as an AEC environment by conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from vpp_env.api.observation import N_OBS
from vpp_env.api.render import RENDER_MODES, render
from vpp_env.api.session import STATE_COMPANION, Session, WorldOptions
from vpp_env.contract.bids import N_ACTION
from vpp_env.core import ledger as led
from vpp_env.errors import BidError, VppError
from vpp_env.scenario import Scenario


class MarketMonth(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):
    """A virtual power plant's market month; agents `prosumer_0 .. prosumer_{N-1}`, one step = one opportunity.

    All agents are present to the end and truncated at once after the last opportunity.

    **Observation** `Box(-1, 1, (54,), float32)`, the same for every home:

    ==========  ========================================================================  ======================
    columns     what                                                                      scale
    ==========  ========================================================================  ======================
    0-3         sin, cos of hour of day and of day of week                                1
    4           time to the next publication of day-ahead prices (13:00)                  24 h
    5-9         battery: SoC, reserve floor, capacity, power, discharge today / limit     1, 1, 20 kWh, 10 kW, 1
    10-13       car: plugged, SoC, needed SoC, time until it must be ready                1, 1, 1, 24 h
    14-16       car: capacity, charger, V2G                                               100 kWh, 11.5 kW
    17-20       load now and 1, 4, 16 steps later (persistence of the day before)         10 kW
    21-24       solar output, the same                                                    10 kW
    25-28       net (solar - load), the same                                              10 kW
    29-33       day-ahead price at the delivery that is bid for and 1-4 h later, USD/MWh  asinh(p/100)/asinh(20)
    34          last real-time price                                                      the same
    35-37       10, 50, 90 % quantiles of the last day's real-time prices                 the same
    38-41       last spin, non-spin, regulation up and down prices (0 where not on sale)  50 USD/MW-h
    42-44       own ask, reserve ask, willingness                                         .5, .05 USD, 1
    45-46       blackout within the opportunity, within 4 h                               1
    47-49       last opportunity: awarded kWh, metered kWh, payment                       20, 20 kWh, 5 USD
    50-53       feasible now: sell and buy inside the envelope, sell and buy beyond it    device limits
    ==========  ========================================================================  ======================

    **Action** `Box(-1, 1, (8,), float32)`, affine: -1 is the low end of the span.

    ======  =============  =====================================  =================
    column  name           meaning                                span
    ======  =============  =====================================  =================
    0       sell1_kw       most power it may be called for        0 .. device limit
    1       sell1_ask      least pay, USD/kWh                     0 .. 1
    2       sell2_kw       the same on a second line              0 .. device limit
    3       sell2_ask      least pay on it, USD/kWh               0 .. 1
    4       buy_kw         most power it may charge with          0 .. device limit
    5       buy_limit      highest price paid, USD/kWh            -0.15 .. 0.35
    6       reserve_kw     capacity on reserve                    0 .. device limit
    7       reserve_ask    least pay, USD per kW and hour         0 .. 0.05
    ======  =============  =====================================  =================

    **Reward** USD: payment - (bill - baseline's bill) - wear - discomfort, `team_share` of the team's mean mixed in
    (see docs/model.md). The VPP's profit is in `state()`, and in `infos` with `full_infos=True`.

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    render_mode : {None, "rgb_array", "ansi"}
        What `render()` returns.
    full_infos : bool
        Put sold, bought, metered kWh, payment and the VPP's profit into `infos` (costs time).
    **world : WorldOptions
        `seed`, `market_data`, `node`; see `vpp_env.api.session.WorldOptions`.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "market_month_v0",
        "render_modes": RENDER_MODES,
        "is_parallelizable": True,
        "render_fps": 4,
    }

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        *,
        render_mode: str | None = None,
        full_infos: bool = False,
        **world: Unpack[WorldOptions],
    ) -> None:
        self._session = Session(scenario, **world)
        self.render_mode = render_mode
        self._full_infos = full_infos
        n = self._session.scenario.fleet.size
        self.possible_agents = [f"prosumer_{i}" for i in range(n)]
        self.agents: list[str] = []
        # one shared object each: every home's space is the same
        self._observation_space = Box(-1.0, 1.0, (N_OBS,), np.float32)
        self._action_space = Box(-1.0, 1.0, (N_ACTION,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, self._observation_space)
        self.action_spaces = dict.fromkeys(self.possible_agents, self._action_space)
        self.state_space = Box(-1.0, 1.0, (n * N_OBS + len(STATE_COMPANION),), np.float32)
        self._matrix = np.zeros((n, N_OBS), dtype=np.float32)

    def observation_space(self, agent: str) -> Box:
        """The one observation space."""
        return self._observation_space

    def action_space(self, agent: str) -> Box:
        """The one action space."""
        return self._action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Begin a month; unknown `options` are ignored."""
        self._matrix = self._session.reset(seed)
        self.agents = list(self.possible_agents)
        return self._rows(), {agent: {} for agent in self.agents}

    def _rows(self) -> dict[str, NDArray[np.float32]]:
        # row views of a copy: agents never see each other's array, nor the live one
        return dict(zip(self.possible_agents, self._matrix.copy(), strict=True))

    def step(
        self, actions: dict[str, NDArray[Any]]
    ) -> tuple[
        dict[str, NDArray[np.float32]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play one opportunity.

        Raises
        ------
        BidError
            When an agent has no action, or an action has the wrong shape.
        """
        if not self.agents:
            if self._session.world is None:
                raise VppError("step() before reset(): call reset() first")
            return {}, {}, {}, {}, {}
        names = self.possible_agents
        try:
            bids = [actions[name] for name in names]
        except KeyError as error:
            raise BidError(f"no action for {error.args[0]!r}; needed is one for each of {len(names)} agents") from error
        if {len(bid) for bid in bids} != {N_ACTION}:
            wrong = next(name for name, bid in zip(names, bids, strict=True) if len(bid) != N_ACTION)
            raise BidError(f"action of {wrong!r} has {len(actions[wrong])} numbers; allowed is {N_ACTION}")
        flat = np.concatenate(bids)
        self._matrix, outcome, over = self._session.step(flat.reshape(-1, N_ACTION))
        rewards = dict(zip(names, outcome.rewards[0].tolist(), strict=True))
        infos: dict[str, dict[str, Any]] = {name: {} for name in names}
        if self._full_infos:
            rows = outcome.ledger[:, 0]
            pay = led.member_pay(rows)
            for i, name in enumerate(names):
                infos[name] = {
                    "sold_kwh": float(rows[led.L_SOLD, i] + rows[led.L_CALLED, i]),
                    "bought_kwh": float(rows[led.L_BOUGHT, i] + rows[led.L_FORCED, i]),
                    "market_kwh": float(rows[led.L_MARKET, i]),
                    "payment_usd": float(pay[i]),
                    "vpp_profit_usd": float(outcome.money.profit[0]),
                }
        if over:
            self.agents = []
        return self._rows(), rewards, dict.fromkeys(names, False), dict.fromkeys(names, over), infos

    def state(self) -> NDArray[np.float32]:
        """(N * 54 + 6,) float32: every home's observation and the VPP's last opportunity, for central training."""
        return np.concatenate([self._matrix.ravel(), self._session.companion()])

    def render(self) -> NDArray[np.uint8] | str | None:
        """The month so far: an rgb array or one line of text."""
        return render(self._session, self.render_mode)

    def close(self) -> None:
        """Nothing is held open."""


def parallel_env(**kwargs: Any) -> MarketMonth:
    """Return the parallel environment; see `MarketMonth`."""
    return MarketMonth(**kwargs)


def env(**kwargs: Any) -> AECEnv:
    """Return the agent-by-agent environment, converted from the parallel one; see `MarketMonth`."""
    return parallel_to_aec(MarketMonth(**kwargs))
