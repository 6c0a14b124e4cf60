"""A floor under damage: who has lost too much against the rules of late hands back to them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Floor:
    """What a strategy has lost against the rules, of late.

    Parameters
    ----------
    last : int
        Opportunities (or contracts talked about) that are summed.
    usd : float
        Most that they may have lost together.
    """

    last: int
    usd: float
    broken: bool = False
    """Once it is, the rules play the rest of the month."""
    _lost: deque[float] = field(default_factory=deque)

    def add(self, usd: float) -> None:
        """Add what an opportunity lost (below 0: gained) against the rules."""
        self._lost.append(usd)
        if len(self._lost) > self.last:
            self._lost.popleft()
        self.broken |= sum(self._lost) > self.usd
