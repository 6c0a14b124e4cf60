"""Gymnasium: one central controller that sees a matrix and bids a matrix; and the batched vector environment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from vpp_env.api.batch import Batch, Sessions
from vpp_env.api.episode import check_options
from vpp_env.api.render import RENDER_MODES, check_mode, render
from vpp_env.api.session import HandedIn, OneVpp, Seeds, Session, WorldOptions
from vpp_env.contract.bids import N_ACTION, DayAheadSchedule
from vpp_env.contract.observation import N_OBS, OBSERVATION_VERSION
from vpp_env.errors import BidError, VppError, did_you_mean
from vpp_env.scenario import Scenario
from vpp_env.units import Flags

DEVICES = ("cpu", "cuda")


def _boxes(session: Session) -> tuple[Box, Box]:
    n = session.scenario.fleet.size
    return Box(-1.0, 1.0, (n, N_OBS), np.float32), Box(-1.0, 1.0, (n, N_ACTION), np.float32)


class CentralMarketMonth(OneVpp, gym.Env[NDArray[Any], NDArray[Any]]):
    """The month for one controller: `vpp/MarketMonth-v0`.

    Observation `Box(-1, 1, (N, N_OBS))` and action `Box(-1, 1, (N, N_ACTION))`, float32: row i is home i, with the
    columns of `MarketMonth`. Reward: welfare of the opportunity, USD, which is the VPP's profit and all homes' rewards
    of `MarketMonth` at a `team_share` of 0. The episode is truncated after the last opportunity.

    `info` holds `vpp_profit_usd`, `home_rewards` (N,), those of `MarketMonth`, and `costs` (5,), homes whose
    preferences were violated, by kind (`vpp_env.owners.violations.VIOLATIONS`); the last one also `kpis`, what the
    month came to by the evaluator's names.

    Parameters
    ----------
    scenario : Scenario or str or Path
        A scenario, the name of a shipped one, or a TOML file.
    render_mode : {None, "rgb_array", "ansi"}
        What `render()` returns.
    **world : WorldOptions
        `seed`, `market_data`, `node`, `home_data`, `episodes`; see `vpp_env.api.session.WorldOptions`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as the base class
        "render_modes": RENDER_MODES,
        "render_fps": 4,
        "observation_version": OBSERVATION_VERSION,
    }

    def __init__(
        self,
        scenario: Scenario | str | Path = "august",
        *,
        render_mode: str | None = None,
        **world: Unpack[WorldOptions],
    ) -> None:
        check_mode(render_mode)
        self._session = Session(scenario, **world)
        self.render_mode = render_mode
        self.observation_space, self.action_space = _boxes(self._session)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a month.

        Parameters
        ----------
        seed : int, optional
            Of the month; None: the constructor's at first, then drawn from the training seeds.
        options : dict, optional
            What is other than in the scenario, this time: see `vpp_env.api.episode`.

        Returns
        -------
        observations : ndarray
            (N, N_OBS) float32, a row per home.
        info : dict
            `seed`, `split`, `month` and `options` of this month.

        Raises
        ------
        VppError
            When an option is unknown or its value not allowed.
        """
        super().reset(seed=seed)
        obs = self._session.reset(seed, options)
        return obs, self._session.months[0]

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Play one opportunity.

        Parameters
        ----------
        action : ndarray
            (N, N_ACTION) in [-1, 1], a bid per home.

        Returns
        -------
        observations : ndarray
            (N, N_OBS) float32.
        reward : float
            Welfare of the opportunity, USD.
        terminated, truncated : bool
            False, and whether the month is over: its end is a limit of time.
        info : dict
            Of the opportunity, as the class says; at the end `kpis`.

        Raises
        ------
        BidError
            When the bids have the wrong shape, are not numbers or lie outside [-1, 1]; nothing has changed then.
        VppError
            When the month is over or was never reset.
        """
        obs, reward, outcome, over, costs = self._session.step(action)
        info = {
            "vpp_profit_usd": float(outcome.profit[0]),
            "home_rewards": reward.homes[0],
            "costs": costs[0],
        }
        if over:
            info["kpis"] = {name: float(value[0]) for name, value in self._session.kpis().items()}
        return obs, float(reward.joint[0]), False, over, info

    def render(self) -> NDArray[np.uint8] | str | None:
        """The month so far: an rgb array or one line of text.

        Returns
        -------
        ndarray, str or None
            (height, width, 3) uint8 with `render_mode="rgb_array"`, a line with "ansi", None without a mode.
        """
        return render(self._session, self.render_mode)


class VectorMarketMonth(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """M months of N homes on one matrix, with Gymnasium's vector conventions.

    Observations (M, N, N_OBS), actions (M, N, N_ACTION), rewards (M,): the welfare of `CentralMarketMonth`. All months
    end at once; the step after that resets (`AutoresetMode.NEXT_STEP`) to training seeds: its actions are ignored and
    its rewards are 0. `infos` holds `vpp_profit_usd` (M,), `home_rewards` (M, N), `costs` (M, 5) and at the end `kpis`,
    (M,) each.

    Parameters
    ----------
    num_envs : int
        Months side by side, M.
    scenario : Scenario, str or path
        See `CentralMarketMonth`.
    threads : int
        Threads that play them, each its share of the months: the same trajectories in less time, where months are
        many and cores are free.
    device : {"cpu", "cuda"}
        "cuda": the months are played on a GPU (docs/gpu.md). Observations, rewards and the arrays of `infos` are then
        Numba's device arrays, which torch, CuPy and JAX take without a copy (`__cuda_array_interface__`) and which the
        next step overwrites, but for `kpis`, which are NumPy's; actions may be any such array, or NumPy's.
    render_mode : None
        Nothing is drawn of many months.
    **world
        See `CentralMarketMonth`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as the base class
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "observation_version": OBSERVATION_VERSION,
    }

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Scenario | str | Path = "august",
        *,
        threads: int = 1,
        device: str = "cpu",
        render_mode: str | None = None,
        **world: Unpack[WorldOptions],
    ) -> None:
        for name, count in (("num_envs", num_envs), ("threads", threads)):
            if not isinstance(count, int | np.integer):
                raise VppError(f"{name}: got {count!r}; allowed is a whole number, 1 or more")
        if render_mode is not None:
            raise VppError(f"render_mode: got {render_mode!r}; allowed is None: months side by side are not drawn")
        if device not in DEVICES:
            raise VppError(did_you_mean(device, DEVICES, "device"))
        if device == "cuda" and threads != 1:
            raise VppError(f'threads: got {threads} with device="cuda"; allowed is 1, or threads with device="cpu"')
        if not 1 <= threads <= max(1, num_envs):
            raise VppError(f"threads: got {threads}; allowed is 1 to {num_envs}, the number of months")
        cuts = np.linspace(0, num_envs, threads + 1).astype(int).tolist()
        sessions = [Session(scenario, stop - start, **world) for start, stop in pairwise(cuts)]
        self._session = sessions[0]
        self._seeds = Seeds(world.get("seed"), num_envs)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = _boxes(self._session)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = False
        self._months: Batch = Sessions(sessions)
        if device == "cuda":
            from vpp_env.api.device.face import DeviceFace  # kernels of a GPU are not needed by most

            self._months = DeviceFace(num_envs)

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """Local clock hours of the day that may be scheduled day ahead now; empty: the gate is shut."""
        return self._months.schedule_hours

    @property
    def capacity_gate(self) -> bool:
        """Whether firm capacity for the next day's evening may be committed now."""
        return self._months.capacity_gate

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin M months.

        Parameters
        ----------
        seed : int, list or None
            A number: month m has seed + m. A list: a seed for each month. None, also in a list: drawn from the
            training seeds.
        options : dict, optional
            See `vpp_env.api.episode`, for all months alike; `reset_mask` (M,) must hold every month, as all share one
            clock.

        Returns
        -------
        observations : ndarray
            (M, N, N_OBS) float32.
        infos : dict
            `seed`, `month` and `options` of each, (M,).

        Raises
        ------
        VppError
            When some months, and not all, are to be reset; when a seed for each was given and their number is not M;
            when an option is unknown or its value not allowed.
        """
        mask = None
        if options is not None:
            check_options(options, ("reset_mask",))
            mask = options.get("reset_mask")
            rest = {name: value for name, value in options.items() if name != "reset_mask"}
            # a mask alone says nothing of the episodes; options that are empty say that they have none
            options = rest if rest or "reset_mask" not in options else None
        if mask is not None and not (np.shape(mask) == (self.num_envs,) and np.all(mask)):
            raise VppError(
                f"reset: got reset_mask {np.asarray(mask).tolist()}; allowed is all of the {self.num_envs} months: "
                "they share one clock. Reset them together, or make vector environments of fewer months"
            )
        seeds, ahead = self._seeds.of(seed), self._seeds.ahead()
        episodes = self._session.episodes
        setting, found = episodes.of(seeds, options)
        obs, self._over = self._months.begin(seeds, setting, found), False
        if ahead:
            self._months.prepare(ahead, episodes.ahead(ahead))
        said = {"seed": seeds, "month": [setting.month] * len(seeds), "options": [dict(found) for _ in seeds]}
        return obs, {name: np.array(values) for name, values in said.items()}

    def submit(
        self,
        *,
        schedules: Sequence[DayAheadSchedule | None] | None = None,
        capacity: Sequence[float | None] | None = None,
        override: Flags | None = None,
    ) -> None:
        """Hand in what goes with the next step's bids, instead of what was handed in before.

        Parameters
        ----------
        schedules : sequence of DayAheadSchedule or None, optional
            One for each month, while `schedule_hours` is not empty; None: nobody schedules anything.
        capacity : sequence of float or None, optional
            Firm capacity for the next evening, kW, one for each month, while `capacity_gate`; None: the built-in
            aggregator's.
        override : ndarray, optional
            (M, N) bool: homes whose gateway does not keep the owner's envelope; None: it is kept everywhere.

        Raises
        ------
        BidError
            When there is not one of each for every month, when the gate of schedules or of capacity is shut, when a
            schedule or a capacity is not allowed, and when `override` has another shape or type; nothing has changed
            then.
        VppError
            Before the first reset.
        """
        for name, given in (("schedules", schedules), ("capacity", capacity), ("override", override)):
            if given is not None and len(given) != self.num_envs:
                raise BidError(f"{name}: got {len(given)}; allowed is one for each of {self.num_envs} months")
        self._months.submit(
            HandedIn(() if schedules is None else schedules, () if capacity is None else capacity, override)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """End what runs.

        Parameters
        ----------
        **kwargs
            Gymnasium's own; none is used.
        """
        self._months.close()

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Play one opportunity of every month, or begin the next months after the last one.

        Parameters
        ----------
        actions : ndarray
            (M, N, N_ACTION) in [-1, 1].

        Returns
        -------
        observations : ndarray
            (M, N, N_OBS) float32.
        rewards : ndarray
            (M,) welfare of the opportunity, USD.
        terminations, truncations : ndarray
            (M,) bool: False, and whether the months are over.
        infos : dict
            Of the opportunity, as the class says.

        Raises
        ------
        BidError
            When the bids have the wrong shape, are not numbers or lie outside [-1, 1]; nothing has changed then.
        """
        no = np.zeros(self.num_envs, dtype=bool)
        if self._over:
            obs, infos = self.reset()
            return obs, self._months.no_rewards(), no, no.copy(), infos
        obs, rewards, self._over, infos = self._months.step(actions)
        return obs, rewards, no, np.full(self.num_envs, self._over), infos
