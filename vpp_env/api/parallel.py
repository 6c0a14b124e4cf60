"""PettingZoo: the month as a `ParallelEnv`, and as an AEC environment by conversion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from vpp_env.api.render import RENDER_MODES, check_mode, render
from vpp_env.api.session import STATE_COMPANION, OneVpp, Session, WorldOptions
from vpp_env.contract.bids import N_ACTION
from vpp_env.contract.observation import N_OBS, OBSERVATION_VERSION
from vpp_env.core import ledger as led
from vpp_env.errors import BidError, VppError
from vpp_env.scenario import Scenario

CHECKERS_OPTIONS = {"options": 1}
"""What PettingZoo's own `api_test` and `parallel_api_test` hand in, to see that a reset takes options: none."""


class MarketMonth(OneVpp, ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):
    """A virtual power plant's market month; agents `prosumer_0 .. prosumer_{N-1}`, one step = one opportunity.

    All agents are present to the end and truncated at once after the last opportunity.

    **Observation** `Box(-1, 1, (N_OBS,), float32)`: `vpp_env.OBSERVATION_COLUMNS`, the same for every home, in the
    version `metadata["observation_version"]`; docs/learners.md says what each is.

    **Action** `Box(-1, 1, (N_ACTION,), float32)`: the bid of `vpp_env.contract.bids`, affine, -1 is the low end of a
    span. `vpp_env.encode` makes it from kW and USD/kWh.

    **Reward** USD: payment - (bill - baseline's bill) - wear - what was taken of the owner's wishes at its private
    values, and at the last opportunity what is stored more than without a market. All homes' rewards and the VPP's
    profit add up to the welfare that the evaluator reports; `reward.team_share` mixes in the team's mean.

    `infos` hold `vpp_profit_usd`, which is in `state()` too and never in an observation; the last ones also `kpis`,
    what the month came to by the evaluator's names.

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    render_mode : {None, "rgb_array", "ansi"}
        What `render()` returns.
    full_infos : bool
        Put sold, bought, metered kWh, payment and `costs` (5,), which of its preferences were violated by kind, into
        `infos` (takes time).
    **world : WorldOptions
        `seed`, `market_data`, `node`, `home_data`, `episodes`; see `vpp_env.api.session.WorldOptions`.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "market_month_v0",
        "render_modes": RENDER_MODES,
        "is_parallelizable": True,
        "render_fps": 4,
        "observation_version": OBSERVATION_VERSION,
    }

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        *,
        render_mode: str | None = None,
        full_infos: bool = False,
        **world: Unpack[WorldOptions],
    ) -> None:
        check_mode(render_mode)
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
        """The one observation space.

        Parameters
        ----------
        agent : str
            Any: all agents share it.

        Returns
        -------
        Box
            (N_OBS,) float32.
        """
        return self._observation_space

    def action_space(self, agent: str) -> Box:
        """The one action space.

        Parameters
        ----------
        agent : str
            Any: all agents share it.

        Returns
        -------
        Box
            (N_ACTION,) float32 in [-1, 1].
        """
        return self._action_space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float32]], dict[str, dict[str, Any]]]:
        """Begin a month.

        Parameters
        ----------
        seed : int, optional
            Of the month; None: the constructor's at first, then drawn from the training seeds.
        options : dict, optional
            What is other than in the scenario, this time: see `vpp_env.api.episode`.

        Returns
        -------
        observations : dict
            Agent -> (N_OBS,) float32.
        infos : dict
            Agent -> `seed`, `split`, `month` and `options` of this month.

        Raises
        ------
        VppError
            When an option is unknown or its value not allowed.
        """
        self._matrix = self._session.reset(seed, None if options == CHECKERS_OPTIONS else options)
        self.agents = list(self.possible_agents)
        month = self._session.months[0]
        return self._rows(), {agent: dict(month) for agent in self.agents}

    def _rows(self) -> dict[str, NDArray[np.float32]]:
        # row views of a copy: agents never see each other's array, nor the live one
        return dict(zip(self.possible_agents, self._matrix.copy(), strict=True))

    def _bids(self, actions: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """(N, N_ACTION) bids in the order of the agents; a BidError where it is not one of each, and nothing else."""
        if not isinstance(actions, Mapping):
            raise BidError(f"step() got a {type(actions).__name__}; allowed is a dict, agent -> ({N_ACTION},)")
        names = self.possible_agents
        try:
            bids = [actions[name] for name in names]
            fit = len(actions) == len(names) and {len(bid) for bid in bids} == {N_ACTION}
        except (KeyError, TypeError):
            fit = False
        if fit:
            return np.concatenate(bids).reshape(-1, N_ACTION)
        for name in names:
            if name not in actions:
                raise BidError(f"no action for {name!r}; needed is one for each of {len(names)} agents")
            if (shape := np.shape(actions[name]))[:1] != (N_ACTION,):
                raise BidError(f"action of {name!r} has shape {shape}; allowed is ({N_ACTION},)")
        other = next(name for name in actions if name not in self.observation_spaces)
        raise BidError(f"an action for {other!r}, which is no agent; agents are {names[0]!r} to {names[-1]!r}")

    def step(
        self, actions: dict[str, NDArray[Any]]
    ) -> tuple[
        dict[str, NDArray[np.float32]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play one opportunity.

        Parameters
        ----------
        actions : dict
            Agent -> (N_ACTION,) in [-1, 1], its bid.

        Returns
        -------
        observations : dict
            Agent -> (N_OBS,) float32.
        rewards : dict
            Agent -> its part of welfare in the opportunity, USD, mixed with the team's mean by `reward.team_share`.
        terminations, truncations : dict
            Agent -> False, and whether the month is over: its end is a limit of time.
        infos : dict
            Agent -> what is told of the opportunity, as the class says.

        Raises
        ------
        BidError
            When an agent has no action, or one has the wrong shape, is not of numbers or lies outside [-1, 1]; nothing
            has changed then.
        VppError
            Before the first reset. After the end everything is empty, as PettingZoo has it.
        """
        if not self.agents:
            if self._session.world is None:
                raise VppError("step() before reset(): call reset() first")
            return {}, {}, {}, {}, {}
        names, flat = self.possible_agents, self._bids(actions)
        self._matrix, reward, outcome, over, _ = self._session.step(flat)
        rewards = dict(zip(names, reward.homes[0].tolist(), strict=True))
        profit = float(outcome.profit[0])
        infos: dict[str, dict[str, Any]] = {name: {"vpp_profit_usd": profit} for name in names}
        if self._full_infos:
            rows = outcome.ledger[:, 0]
            pay, violated = led.member_pay(rows), outcome.violated[:, 0].T.astype(np.float64)
            for i, name in enumerate(names):
                infos[name] |= {
                    "sold_kwh": float(rows[led.L_SOLD, i] + rows[led.L_CALLED, i]),
                    "bought_kwh": float(rows[led.L_BOUGHT, i] + rows[led.L_FORCED, i]),
                    "market_kwh": float(rows[led.L_MARKET, i]),
                    "payment_usd": float(pay[i]),
                    "costs": violated[i],
                }
        if over:
            self.agents = []
            kpis = {name: float(value[0]) for name, value in self._session.kpis().items()}
            for info in infos.values():
                info["kpis"] = dict(kpis)
        return self._rows(), rewards, dict.fromkeys(names, False), dict.fromkeys(names, over), infos

    def state(self) -> NDArray[np.float32]:
        """Return every home's observation, and the VPP's side of the last opportunity, for central training.

        Returns
        -------
        ndarray
            (N * N_OBS + 6,) float32; the last six are `vpp_env.api.session.STATE_COMPANION`.
        """
        return np.concatenate([self._matrix.ravel(), self._session.companion()])

    def render(self) -> NDArray[np.uint8] | str | None:
        """The month so far: an rgb array or one line of text.

        Returns
        -------
        ndarray, str or None
            (height, width, 3) uint8 with `render_mode="rgb_array"`, a line with "ansi", None without a mode.
        """
        return render(self._session, self.render_mode)

    def close(self) -> None:
        """Nothing is held open."""


def parallel_env(**kwargs: Any) -> MarketMonth:
    """Return the parallel environment; see `MarketMonth`.

    Parameters
    ----------
    **kwargs
        Those of `MarketMonth`.

    Returns
    -------
    MarketMonth
        All agents act at once.
    """
    return MarketMonth(**kwargs)


def env(**kwargs: Any) -> AECEnv:
    """Return the agent-by-agent environment, converted from the parallel one; see `MarketMonth`.

    Parameters
    ----------
    **kwargs
        Those of `MarketMonth`.

    Returns
    -------
    AECEnv
        One agent acts at a time.
    """
    return parallel_to_aec(MarketMonth(**kwargs))
