"""Threads that an environment keeps: compiled months release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """At most `threads` threads, begun when there is work for them; none survives a copy or a fork.

    Parameters
    ----------
    threads : int
        Threads, 1 or more.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the threads behind."""
        return vars(self) | {"_pool": None}

    def submit(self, function: Callable[..., T], *given: Any) -> Future[T]:
        """Call a function in a thread."""
        if self._pool is None or self.forked():
            self._pool, self._process = ThreadPoolExecutor(self._threads, "vpp-months"), os.getpid()
        return self._pool.submit(function, *given)

    def map(self, function: Callable[..., T], *given: Any) -> list[T]:
        """Call a function of the first elements, of the second ones and so on; the last call is the caller's own.

        All calls have ended when this returns, or raises the first of their errors.
        """
        *others, last = zip(*given, strict=True)
        coming = [self.submit(function, *one) for one in others]
        try:
            own = [function(*last)]
        finally:
            if coming:
                wait(coming)
        return [future.result() for future in coming] + own

    def forked(self) -> bool:
        """Whether this process was forked off the one that began the threads: they are not in it."""
        return self._process != os.getpid()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None and not self.forked():
            self._pool.shutdown()
        self._pool = None
