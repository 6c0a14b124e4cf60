"""What is seen while a comparison runs: plain lines in the log, a file for others; `live` is for terminals."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import FAILED, RunResult
from vpp_benchmarks.run.job import JobSpec
from vpp_benchmarks.run.job import Progress as Listener

log = logging.getLogger(__name__)

LOG_PARTS = 4
"""Plain lines per run."""
FEW_RUNS = 12
"""Runs up to which each is followed in the log; above, the whole is."""
LOG_SECONDS = 10.0
SILENT_SECONDS = 4.0
"""Longest time between two plain lines of a run that gets on."""
FILE_SECONDS = 2.0
STOPPING = "interrupted: finishing this opportunity, then writing what is done; Ctrl-C again stops at once"


@dataclass
class RunningSums:
    """Figures of a run so far."""

    played: int = 0
    profit: float = 0.0
    satisfaction: float = 0.0
    violations: int = 0
    first: float = 0.0  # seconds on the clock when the first opportunity was over: what came before is no measure
    told: float = 0.0  # when a line was written last

    def left(self, total: int, now: float) -> str:
        """Return the rate and the time left; empty before the second opportunity."""
        seconds = now - self.first
        if self.played < 2 or seconds <= 0.0:
            return ""
        rate = (self.played - 1) / seconds
        return f", {rate:.3g} opportunities/s, about {clock((total - self.played) / rate)} left"

    def add(self, row: dict[str, Any]) -> None:
        """Add one opportunity."""
        self.played += 1
        self.profit += row["actual_profit"]
        self.satisfaction += row["prosumer_satisfaction"]
        self.violations += row["preference_violations"]

    def numbers(self) -> dict[str, float]:
        """Figures so far, named as the KPIs that they become where they are one: `opportunity_satisfaction`."""
        mean = self.satisfaction / self.played if self.played else 1.0
        return {"profit_usd": self.profit, "opportunity_satisfaction": mean, "violations": float(self.violations)}

    def figures(self) -> dict[str, Any]:
        """Figures as text; satisfaction is the mean over opportunities, which is not the score of a whole run."""
        profit, mean, violations = self.numbers().values()
        return {
            "profit": f"{profit:z,.2f}",
            "satisfaction per opportunity": f"{mean:.3f}",
            "violations": f"{violations:,.0f}",
        }


class LogProgress:
    """Plain lines in the log: a run by quarters (or every five seconds), and with many runs how far the whole is.

    Both say when the end may come.

    Parameters
    ----------
    runs : int
        Runs in all; above `FEW_RUNS` single runs are not followed.
    """

    def __init__(self, runs: int = 1) -> None:
        self._runs: dict[str, tuple[RunningSums, int]] = {}
        self._total, self._ended, self._failed = runs, 0, 0
        self._begin = self._told = time.monotonic()

    def begin(self, job: JobSpec, total: int) -> None:
        """Start counting."""
        sums = RunningSums()
        self._runs[job.name] = (sums, total)
        if self._total <= FEW_RUNS:
            sums.told = time.monotonic()
            log.info("%s, seed %d: %d opportunities", job.contender.label, job.seed, total)

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Count; write at every quarter, and where nothing was written for long, with the rate and the time left."""
        sums, total = self._runs[job.name]
        sums.add(row)
        if self._total > FEW_RUNS:
            return
        now = time.monotonic()
        if sums.played == 1:
            sums.first = now
        quarter = sums.played * LOG_PARTS // total > (sums.played - 1) * LOG_PARTS // total
        if quarter or (sums.played > 1 and now - sums.told >= SILENT_SECONDS):
            sums.told = now
            figures = ", ".join(f"{name} {value}" for name, value in sums.figures().items())
            figures += sums.left(total, now)
            log.info("%s, seed %d: %d/%d, %s", job.contender.label, job.seed, sums.played, total, figures)

    def end(self, result: RunResult) -> None:
        """Write how far the whole is, where there are several runs; the runner logs every result."""
        self._runs.pop(result.name, None)
        self._ended += 1
        self._failed += result.status == FAILED
        now = time.monotonic()
        if self._total > 2 and (now - self._told >= LOG_SECONDS or self._ended == self._total):
            self._told = now
            left = (now - self._begin) / self._ended * (self._total - self._ended)
            log.info("%d/%d runs, %d failed, about %s left", self._ended, self._total, self._failed, clock(left))


def clock(seconds: float) -> str:
    """Write seconds as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class FileProgress:
    """Keeps `progress.json` beside the runs for whoever looks at an experiment from outside (the dashboard).

    Written when a run begins, so that one which still compiles is seen, and every `FILE_SECONDS` at most from then on.

    Parameters
    ----------
    path : Path
        The file; taken away by `close`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._runs, self._told = path, dict[str, tuple[RunningSums, int]](), 0.0
        self._began, self._ended = time.time(), 0

    def begin(self, job: JobSpec, total: int) -> None:
        """Start counting."""
        self._runs[job.name] = (RunningSums(), total)
        self._tell()

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Count; write now and then."""
        sums = self._runs[job.name][0]
        sums.add(row)
        if sums.played == 1:
            sums.first = time.monotonic()
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told < FILE_SECONDS or not self._path.parent.is_dir():
            return
        self._told = now
        running = {}
        for name, (t, total) in self._runs.items():
            # the first opportunity waits for what is compiled or solved once
            rate = (t.played - 1) / (now - t.first) if t.played > 1 and now > t.first else None
            running[name] = {"played": t.played, "total": total, "profit": t.profit, "violations": t.violations,
                             "rate": rate}  # fmt: skip
        data = {"began": self._began, "ended": self._ended, "updated": time.time(), "running": running}
        try:
            store.write_json(self._path, data)
        except store.StoreError as error:  # nothing depends on it; the runs themselves will tell
            log.warning("progress is not shown to others: %s", error)

    def end(self, result: RunResult) -> None:
        """Forget the run."""
        self._runs.pop(result.name, None)
        self._ended += 1

    def close(self) -> None:
        """Take the file away: nothing is under way any more."""
        if self._told:  # else it is another process's
            self._path.unlink(missing_ok=True)


class Several:
    """Tell several listeners, and stop where Ctrl-C asked for it.

    A listener that fails is told nothing more, and the log says why: a run must not fail because a logger's server is
    away.
    """

    def __init__(self, listeners: Sequence[Listener], stop: Stop) -> None:
        self._listeners, self._stop = list(listeners), stop

    def _tell(self, say: Callable[[Listener], None]) -> None:
        for listener in list(self._listeners):
            try:
                say(listener)
            except Exception:
                log.exception("%s failed and is told nothing more", type(listener).__name__)
                self._listeners.remove(listener)

    def begin(self, job: JobSpec, total: int) -> None:
        """Tell all; raise KeyboardInterrupt where Ctrl-C came between two runs."""
        self._tell(lambda listener: listener.begin(job, total))
        if self._stop.asked:
            raise KeyboardInterrupt

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        """Tell all; raise KeyboardInterrupt between two opportunities."""
        self._tell(lambda listener: listener.row(job, row))
        if self._stop.asked:
            raise KeyboardInterrupt

    def end(self, result: RunResult) -> None:
        """Tell all."""
        self._tell(lambda listener: listener.end(result))


@dataclass
class Stop:
    """Whether Ctrl-C was pressed."""

    asked: bool = False


@contextmanager
def stop_on_interrupt(say: Callable[[str], object] | None = None) -> Iterator[Stop]:
    """Let the first Ctrl-C wait for the end of the opportunity, and the second stop at once.

    So the tables never hold half of an opportunity, and no solver is torn out of its work. `say` tells the user, where
    the log is not on the terminal.
    """
    stop = Stop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True
        log.warning(STOPPING)
        if say is not None:
            say(STOPPING)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
