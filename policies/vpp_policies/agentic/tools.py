"""What a model may look up while it negotiates: read-only, from what the aggregator may know anyway, in integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp_env import Offers
from vpp_policies.agentic.dispatch import CoalitionProblem, Lines, coefficients
from vpp_policies.agentic.negotiation import Notice, Settled, Standing


@dataclass
class Desk:
    """What lies on the aggregator's desk.

    Parameters
    ----------
    sells : ndarray
        (N,) bool: homes with a device to sell with.
    """

    sells: NDArray[np.bool_]
    notice: Notice | None = None
    standing: Standing | None = None
    draft: Offers | None = None
    _problem: CoalitionProblem | None = None
    _kwh: NDArray[np.float64] | None = None
    _usd: NDArray[np.float64] | None = None
    _away: NDArray[np.int64] | None = None

    def look(self, notice: Notice, standing: Standing, draft: Offers) -> None:
        """Lay out this gate's papers."""
        self.notice, self.standing, self.draft = notice, standing, draft

    def settle(self, settled: Settled) -> None:
        """Add up what was metered and paid, and who was out."""
        if self._kwh is None or self._usd is None or self._away is None:
            n = len(settled.kwh)
            self._kwh, self._usd, self._away = np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.int64)
        self._kwh += settled.kwh
        self._usd += settled.usd
        self._away += settled.absent

    def outcome(self, i: int) -> dict[str, int]:
        """What home i has sold and was paid so far, and in how many opportunities it was out."""
        if self._kwh is None or self._usd is None or self._away is None:
            return {"sold_wh": 0, "paid_cents": 0, "out": 0}
        return {
            "sold_wh": round(1000 * float(self._kwh[i])),
            "paid_cents": round(100 * float(self._usd[i])),
            "out": int(self._away[i]),
        }

    @property
    def papers(self) -> tuple[Notice, Standing, Offers]:
        """Those of the gate."""
        assert self.notice is not None
        assert self.standing is not None
        assert self.draft is not None
        return self.notice, self.standing, self.draft

    def one_more_kw(self, i: int) -> float:
        """USD that a kW more of home i, at the draft's price, adds to the best dispatch of all who are offered one."""
        notice, standing, draft = self.papers
        if self._problem is None:
            self._problem = CoalitionProblem(self.sells)
        kw, price = np.where(self.sells, draft.terms.kw, 0.0), draft.terms.price
        nothing, more = np.zeros(len(kw)), kw + (np.arange(len(kw)) == i)

        def best(kw: NDArray[np.float64]) -> float:
            ask = np.stack([standing.terms.defer_price, price, standing.terms.reserve_price])
            lines = Lines(np.stack([nothing, kw, nothing]), ask, self.sells & ~standing.absent)
            assert self._problem is not None
            return float((coefficients(lines, notice) * self._problem.solve(lines, notice).share).sum())

        return best(more) - best(kw)


def forecast(desk: Desk, i: int) -> dict[str, Any]:
    """Prices of this opportunity as they are expected, and of the dearest hours left today."""
    notice = desk.papers[0]
    at = np.searchsorted(np.cumsum(notice.weight), [0.1, 0.5, 0.9])
    return {
        "low_middle_high_tenth_cents": [
            round(1000 * float(p)) for p in notice.price[np.minimum(at, len(notice.price) - 1)]
        ],
        "mean_tenth_cents": round(1000 * float(notice.price @ notice.weight)),
        "dearest_hours_left_tenth_cents": [round(1000 * float(p)) for p in notice.later[:3]],
    }


def value(desk: Desk, i: int) -> dict[str, int]:
    """What a kWh of this home costs by wear and refilling, and what its dearest hour left today should bring."""
    notice, standing, _ = desk.papers
    best = max([float(notice.price @ notice.weight), *map(float, notice.later[:1])])
    return {
        "cost_tenth_cents": round(1000 * float(standing.cost[i])),
        "best_hour_tenth_cents": round(1000 * best),
        "own_ask_tenth_cents": round(1000 * float(standing.terms.price[i])),
    }


def solver(desk: Desk, i: int) -> dict[str, int]:
    """What one more kW of this home is worth in the coalition's program."""
    return {"one_more_kw_hundredth_cents": round(1e4 * desk.one_more_kw(i))}


TOOLS: dict[str, Callable[[Desk, int], Any]] = {"forecast": forecast, "value": value, "solver": solver}
"""By name; `history` reads the owner's own file."""
