"""Runs in processes: the same results as one after the other, and nothing lost when one dies or Ctrl-C comes.

Every process takes one run after the other over a pipe of its own, so that one that is killed takes nothing with it but
the run it was at. Only the parent talks to the terminal and writes files; it also decides when to stop.
"""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import pickle
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from vpp_benchmarks.results.run_result import FAILED, INTERRUPTED, RunResult
from vpp_benchmarks.run.compiling import watched
from vpp_benchmarks.run.job import JobSpec, Progress, not_run, play, stopped
from vpp_benchmarks.run.plan import PlanError
from vpp_env.evaluation.kpi import REGISTERED
from vpp_env.evaluation.kpi_entry import Kpi

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
STOP = "stop"
"""Sent to a child: end with the current opportunity."""


class _Sender:
    """Tells the parent how a run gets on; stops where the parent asks for it."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self._lock = threading.Lock()  # a pipe is no thread's own: lines of compiling and of audits come from others

    def send(self, kind: str, content: Any) -> None:
        with self._lock:
            self.pipe.send((kind, content))

    def begin(self, job: JobSpec, total: int) -> None:
        self.send("begin", total)

    def row(self, job: JobSpec, row: dict[str, Any]) -> None:
        self.send("row", row)
        if self.pipe.poll():
            self.pipe.recv()  # the parent says nothing else to a child at work
            raise KeyboardInterrupt

    def end(self, result: RunResult) -> None:
        """Say nothing: the run itself follows."""


class _LogSender(logging.Handler):
    """Hands the child's log records to the parent, which has the log file."""

    def __init__(self, sender: _Sender) -> None:
        super().__init__()
        self._sender = sender
        self._prepare = logging.handlers.QueueHandler(None).prepare  # type: ignore[arg-type]

    def emit(self, record: logging.LogRecord) -> None:
        self._sender.send("log", self._prepare(record))


def _work(pipe: Connection, kpis: Mapping[str, Kpi], rehearses: bool) -> None:
    """Play one job after the other; the whole of a child process. `kpis` are those that the parent knows of others.

    With `rehearses` the first one is rehearsed (`evaluation.simulate.rehearse`).
    """
    REGISTERED.update(kpis)
    root, sender = logging.getLogger(), _Sender(pipe)
    root.addHandler(_LogSender(sender))
    root.setLevel(logging.INFO)
    # Ctrl-C reaches the whole process group: the parent answers it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        with watched():
            while isinstance(job := pipe.recv(), JobSpec):
                sender.send("done", play(job, sender, rehearses))
                rehearses = False
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone, and nobody waits for the run
        return


@dataclass
class _Child:
    process: SpawnProcess
    pipe: Connection
    job: JobSpec | None = None

    def give(self, job: JobSpec) -> None:
        self.job = job
        self.pipe.send(job)


def check_kpis() -> None:
    """Raise `PlanError` where a KPI of somebody else cannot be sent to a process: its runs would lack it."""
    for name, kpi in REGISTERED.items():
        try:
            pickle.dumps(kpi)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise PlanError(
                f"KPI {name!r} cannot be sent to processes ({error}): compute it by a function of a module instead of "
                "a lambda or an inner function, or play with --executor serial"
            ) from error


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Begin processes that Ctrl-C does not end while they import: what is blocked here is blocked there."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which unblocks signals after it has begun
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hire(rehearses: bool) -> _Child:
    # spawn: a fork would copy a process whose other threads draw the terminal
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, dict(REGISTERED), rehearses), daemon=True)
    with _ctrl_c_held_back():
        process.start()
    theirs.close()  # so that the end of the child is the end of the pipe
    return _Child(process, ours)


class Processes:
    """Up to `workers` runs at the same time, a process each.

    A process that dies leaves a failed run with its exit status. After an interrupt (`progress` raises
    KeyboardInterrupt) the runs end with their current opportunity; a second one ends the processes at once.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, jobs: Sequence[JobSpec], progress: Progress) -> Iterator[RunResult]:
        """See `Executor`."""
        waiting, crew, stopping = deque(jobs), list[_Child](), False
        try:
            while waiting or any(child.job for child in crew):
                if stopping:
                    yield from (not_run(job) for job in waiting)
                    waiting.clear()
                self._assign(crew, waiting)
                for pipe in wait([child.pipe for child in crew if child.job], POLL_SECONDS):
                    child = next(c for c in crew if c.pipe is pipe)
                    try:
                        kind, content = child.pipe.recv()
                    except (EOFError, OSError):
                        crew.remove(child)
                        kind, content = "done", _bury(child)
                    try:
                        result = _take(child, kind, content, progress)
                    except KeyboardInterrupt:
                        stopping = _stop(crew)
                        continue
                    if result is not None:
                        if result.status == INTERRUPTED:
                            stopping = _stop(crew)
                        yield result
        except KeyboardInterrupt:
            reason = "stopped at once by a second Ctrl-C"
            yield from (stopped(child.job, INTERRUPTED, reason) for child in crew if child.job)
            yield from (not_run(job) for job in waiting)
        finally:
            for child in crew:
                child.process.terminate()
                child.process.join()
                child.pipe.close()

    def _assign(self, crew: list[_Child], waiting: deque[JobSpec]) -> None:
        """Give every free process a job, and hire while there are jobs left and places free."""
        for child in crew:
            if child.job is None and waiting:
                child.give(waiting.popleft())
        while waiting and len(crew) < self._workers:
            # one of several compiles the longest kernel first, while the others compile what policies need
            crew.append(_hire(rehearses=len(crew) == 1))
            crew[-1].give(waiting.popleft())


def _take(child: _Child, kind: str, content: Any, progress: Progress) -> RunResult | None:
    """Act on one message of a child; return its run when it is over."""
    assert child.job is not None
    if kind == "begin":
        progress.begin(child.job, content)
    elif kind == "row":
        progress.row(child.job, content)
    elif kind == "log":
        logging.getLogger(content.name).handle(content)
    else:
        child.job = None
        progress.end(content)
        return content
    return None


def _stop(crew: list[_Child]) -> bool:
    for child in crew:
        if child.job is not None:
            try:
                child.pipe.send(STOP)
            except OSError:  # it has just died, which its pipe will tell
                log.info("%s: its process has ended before it was asked to", child.job.name)
    return True


def _bury(child: _Child) -> RunResult:
    child.process.join()
    child.pipe.close()
    assert child.job is not None
    code = child.process.exitcode
    log.error("%s: its process ended with exit status %s", child.job.name, code)
    return stopped(child.job, FAILED, f"its process ended with exit status {code} (killed, or out of memory)")
