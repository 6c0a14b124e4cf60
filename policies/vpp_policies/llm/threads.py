"""Threads: many calls side by side, and one call that has to end in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    do: Callable[[T], R], items: Sequence[T], workers: int, last: Callable[[R], bool] = lambda _: False
) -> list[R | None]:
    """Return `do(item)` of every item in their order, at most `workers` at a time.

    Parameters
    ----------
    do : callable
        What is done; what it raises is raised here, that of the first item that raised.
    items : Sequence
        What it is done with.
    workers : int
        Threads at most. One: no thread is begun.
    last : callable
        Whether a result is the last that is wanted: nothing more is begun then, and what was not begun is None.
    """
    out: list[R | None] = [None] * len(items)
    raised: dict[int, BaseException] = {}
    todo, lock, stop = iter(range(len(items))), threading.Lock(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            with lock:
                i = next(todo, None)
            if i is None:
                return
            try:
                out[i] = result = do(items[i])
                if last(result):
                    stop.set()
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the caller
                raised[i] = error
                stop.set()

    if min(workers, len(items)) <= 1:
        work()
    else:
        # daemons: Ctrl-C waits for nobody's answer. Each has the caller's context, so that tracing finds its parent
        threads = [
            threading.Thread(target=copy_context().run, args=(work,), daemon=True)
            for _ in range(min(workers, len(items)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            stop.set()
    if raised:
        raise raised[min(raised)]
    return out


def in_time(do: Callable[[], R], seconds: float) -> R:
    """Return `do()`, or give up on it after `seconds`; what it still does then is nobody's business.

    Raises
    ------
    TimeoutError
        When it takes longer.
    """
    out: list[R] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            out.append(do())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the caller
            raised.append(error)

    thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not out:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return out[0]
