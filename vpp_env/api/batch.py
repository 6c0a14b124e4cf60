"""Months side by side, one episode after another: what a vector environment plays, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vpp_env.api.episode import Setting
from vpp_env.api.session import HandedIn, Session
from vpp_env.api.workers import Workers
from vpp_env.contract.bids import N_ACTION, check_actions
from vpp_env.contract.observation import N_OBS

Played = tuple[Any, Any, bool, dict[str, Any]]
"""(M, N, N_OBS) observations, (M,) rewards, whether the months are over, and infos."""


class Batch(Protocol):
    """M months that share a clock; arrays are NumPy's, or lie in a GPU's memory."""

    def begin(self, seeds: Sequence[int], setting: Setting, options: Mapping[str, Any]) -> Any:
        """Begin the episode of these seeds, one for each month, in a world; return (M, N, N_OBS) observations."""
        ...

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """Begin to make the months of an episode to come."""
        ...

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """See `Session.schedule_hours`."""
        ...

    @property
    def capacity_gate(self) -> bool:
        """See `Session.capacity_gate`."""
        ...

    def submit(self, given: HandedIn) -> None:
        """Keep what goes with the next step's bids, or raise its error; `override` is (M, N) here."""
        ...

    def step(self, actions: Any) -> Played:
        """Play one opportunity with (M, N, N_ACTION) bids."""
        ...

    def no_rewards(self) -> Any:
        """(M,) zeros: of the step that resets."""
        ...

    def close(self) -> None:
        """End what runs."""
        ...


class Sessions:
    """Months on the CPU: sessions, a thread each.

    Parameters
    ----------
    sessions : list of Session
        Of the first months, of the next ones and so on.
    """

    def __init__(self, sessions: list[Session]) -> None:
        self.sessions = sessions
        ends = list(accumulate(session.n_months for session in sessions))
        self._spans = [slice(end - s.n_months, end) for end, s in zip(ends, sessions, strict=True)]
        self._count = ends[-1]
        self._workers = Workers(len(sessions))

    def _block(self) -> NDArray[np.float32]:
        """Return a fresh (M, N, N_OBS) array, which the sessions fill."""
        return np.empty((self._count, self.sessions[0].scenario.fleet.size, N_OBS), dtype=np.float32)

    def begin(self, seeds: Sequence[int], setting: Setting, options: Mapping[str, Any]) -> NDArray[np.float32]:
        """See `Batch.begin`."""
        obs = self._block()
        self._workers.map(
            lambda session, span: session.begin(seeds[span], setting, options, _rows(obs, span)),
            self.sessions,
            self._spans,
        )
        return obs

    def prepare(self, seeds: Sequence[int], setting: Setting) -> None:
        """See `Batch.prepare`."""
        for session, span in zip(self.sessions, self._spans, strict=True):
            session.prepare(seeds[span], setting)

    @property
    def schedule_hours(self) -> tuple[int, ...]:
        """See `Session.schedule_hours`."""
        return self.sessions[0].schedule_hours

    @property
    def capacity_gate(self) -> bool:
        """See `Session.capacity_gate`."""
        return self.sessions[0].capacity_gate

    def submit(self, given: HandedIn) -> None:
        """See `Batch.submit`."""
        override = None if given.override is None else np.asarray(given.override)
        parts = [
            HandedIn(
                given.schedules[span], given.capacity[span], None if override is None else override[span].reshape(-1)
            )
            for span in self._spans
        ]
        for session, part in zip(self.sessions, parts, strict=True):
            session.checked(part)
        for session, part in zip(self.sessions, parts, strict=True):
            session.submit(part)

    def step(self, actions: Any) -> Played:
        """See `Batch.step`."""
        given, homes = np.asarray(actions).reshape(-1, N_ACTION), self._count * self.sessions[0].scenario.fleet.size
        # all are checked before any month is played; a session checks its own
        if len(self.sessions) > 1 or len(given) != homes:
            given = check_actions(given, homes)
        bids, obs = given.reshape(self._count, -1, N_ACTION), self._block()
        played = self._workers.map(
            lambda session, span: session.step(bids[span].reshape(-1, N_ACTION), _rows(obs, span)),
            self.sessions,
            self._spans,
        )
        over = played[0].over
        infos: dict[str, Any] = {
            "vpp_profit_usd": np.concatenate([p.outcome.profit for p in played]),
            "home_rewards": np.concatenate([p.reward.homes for p in played]),
            "costs": np.concatenate([p.costs for p in played]),
        }
        if over:
            kpis = [session.kpis() for session in self.sessions]
            infos["kpis"] = {name: np.concatenate([k[name] for k in kpis]) for name in kpis[0]}
        return obs, np.concatenate([p.reward.joint for p in played]), over, infos

    def no_rewards(self) -> NDArray[np.float64]:
        """See `Batch.no_rewards`."""
        return np.zeros(self._count)

    def close(self) -> None:
        """See `Batch.close`."""
        self._workers.close()


def _rows(block: NDArray[np.float32], span: slice) -> NDArray[np.float32]:
    """(months in `span` x N, N_OBS): those months of a block (M, N, N_OBS), to be written to."""
    return block[span].reshape(-1, N_OBS)
