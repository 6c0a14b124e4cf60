"""Policies that misbehave in a hundred ways: what they raise, return, and do to the process that they play in.

`Misbehaves(way, at)` bids nothing until the moment `at`, and then does what `WAYS[way]` says. Every way is a failure
of its own run; those that a process survives raise an error when they are done.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import pickle
import random
import re
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo
from vpp_env.contract.views import Information, View
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation import answers, policy_process

MOMENTS = ("reset", "first", "mid", "last")
FOREVER_S = 3600.0
"""How long what hangs or lives on would last."""


class Misbehaves:
    """Does what is named by `way` at the moment `at`, one of `MOMENTS`."""

    info = PolicyInfo("misbehaves", Information.OWN, Consent.NEVER, "misbehaves")

    def __init__(self, way: str, at: str = "mid") -> None:
        self._way, self._at = WAYS[way], at
        if way == "asks without end":
            self.info = PolicyInfo("misbehaves", Information.ORACLE, Consent.NEVER, "asks")
        if way == "declares":
            self.info = PolicyInfo("misbehaves", Information.OWN, Consent.NEVER, f"declared by {os.getpid()}")

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._gate = {"reset": -1, "first": 0, "mid": rules.n_opportunities // 2, "last": rules.n_opportunities - 1}
        self._n = rules.n_homes
        if self._at == "reset":
            self._way(self.nothing(), rules)

    def act(self, view: View) -> Any:
        nothing = self.nothing()
        return self._way(nothing, view) if view.public.opportunity == self._gate[self._at] else Bids(nothing)

    def nothing(self) -> Any:
        return -np.ones((self._n, N_ACTION), dtype=np.float32)


# -- what is raised ----------------------------------------------------------------------------------------

Way = Callable[[Any, Any], Any]


def raises(make: Callable[[], BaseException]) -> Way:
    def way(nothing: Any, seen: Any) -> NoReturn:
        raise make()

    return way


def texts(text: Callable[[], Any], base: type[BaseException] = Exception) -> Way:
    """Raise an error whose `__str__` is this."""
    return raises(type("Odd", (base,), {"__str__": lambda self: text(), "__repr__": lambda self: text()}))


def raising(error: BaseException) -> Callable[..., Any]:
    def text(*args: Any) -> NoReturn:
        raise error

    return text


class Text(str):
    """Text that resists being shown."""

    def __format__(self, spec: str) -> str:
        raise SystemExit("no format")

    def __len__(self) -> int:
        raise ValueError("no length")

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        raise ValueError("no bytes")


class Nameless(type):
    """The kind of a class whose name cannot be had."""

    __name__ = property(raising(ValueError("no name")))  # type: ignore[assignment]


class NamelessError(Exception, metaclass=Nameless):
    """An error of that class."""


def nested(depth: int) -> list[Any]:
    whole: list[Any] = []
    for _ in range(depth):
        whole = [whole]
    return whole


def chained(nothing: Any, seen: Any) -> NoReturn:
    error: BaseException | None = None
    for k in range(20_000):
        following = ValueError(k)
        following.__cause__, error = error, following
    assert error is not None
    raise error


def cyclic(nothing: Any, seen: Any) -> NoReturn:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    raise one


def noted(nothing: Any, seen: Any) -> NoReturn:
    error = ValueError("noted")
    error.add_note("n" * 5_000_000 + "\ud800\x1b[2J")
    raise error


def grouped() -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(3000):
        error = ExceptionGroup("\x07", [error])
    return error


def recurses(nothing: Any, seen: Any) -> Any:
    return recurses(nothing, seen) + 1


def recurses_without_limit(nothing: Any, seen: Any) -> Any:
    sys.setrecursionlimit(10**9)
    return pickle.dumps(nested(10**7)) + recurses(nothing, seen)


def divides(nothing: Any, seen: Any) -> Any:
    np.seterr(all="raise")
    return np.ones(1) / np.zeros(1)


# -- how a process ends, or does not -----------------------------------------------------------------------


def killed(number: int) -> Way:
    def way(nothing: Any, seen: Any) -> None:
        os.kill(os.getpid(), number)
        time.sleep(FOREVER_S)

    return way


def spins(nothing: Any, seen: Any) -> None:
    while True:
        pass


def locked(nothing: Any, seen: Any) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def matches(nothing: Any, seen: Any) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # in C, and the interpreter is held


def deaf(nothing: Any, seen: Any) -> None:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(FOREVER_S)


def takes_memory(nothing: Any, seen: Any) -> None:
    kept = []
    while True:
        kept.append(np.ones(10_000_000))


def takes_files(nothing: Any, seen: Any) -> None:
    kept = []
    while True:
        kept.append(open(os.devnull))  # noqa: SIM115


def crashes(nothing: Any, seen: Any) -> None:
    ctypes.string_at(0)


def processor_time(nothing: Any, seen: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    spins(nothing, seen)


# -- what is returned --------------------------------------------------------------------------------------


class Array(np.ndarray):
    """An array that resists being looked at."""

    shape = property(raising(SystemExit("no shape")))  # type: ignore[assignment]
    dtype = property(raising(SystemExit("no dtype")))  # type: ignore[assignment]


class Converts:
    """Raises where it is made an array."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise SystemExit("no array")


class Items(dict):  # type: ignore[type-arg]
    """A dict that resists being read."""

    def items(self) -> Any:
        raise KeyboardInterrupt


class Bidding(Bids):
    """Bids of somebody's own making."""

    @property
    def notes(self) -> Any:  # type: ignore[override]
        raise SystemExit("no notes")


def returns(make: Callable[[Any], Any]) -> Way:
    return lambda nothing, seen: make(nothing)


def with_notes(notes: Callable[[], Any]) -> Way:
    return lambda nothing, seen: Bids(nothing, notes=notes())


def with_transcript(transcript: Callable[[], Any]) -> Way:
    return lambda nothing, seen: Bids(nothing, transcript=transcript())


def itself() -> list[Any]:
    whole: list[Any] = [{"kind": "offer"}]
    whole[0]["all"] = whole
    return whole


async def later(nothing: Any) -> Bids:
    return Bids(nothing)


def generated(nothing: Any) -> Iterator[Bids]:
    yield Bids(nothing)


def unmade(nothing: Any) -> Any:
    return object.__new__(Bids)


def item_one(nothing: Any, value: Any) -> Any:
    nothing[0, 0] = value
    return nothing


# -- what is done to the process ---------------------------------------------------------------------------


def after(do: Callable[[Any], Any]) -> Way:
    """Do something, and raise an error."""

    def way(nothing: Any, seen: Any) -> NoReturn:
        do(seen)
        raise RuntimeError(f"after {do.__name__}")

    return way


def forks(seen: Any) -> None:
    if os.fork() == 0:
        time.sleep(FOREVER_S)
        os._exit(0)


def plays_twice(nothing: Any, seen: Any) -> Any:
    os.fork()  # both of them bid, and one dies when it is asked again
    return Bids(nothing[:-1])


def begins_threads(seen: Any) -> None:
    for daemon in (True, False):
        threading.Thread(target=time.sleep, args=(FOREVER_S,), daemon=daemon).start()


def begins_a_command(seen: Any) -> None:
    os.spawnlp(os.P_NOWAIT, "sleep", "sleep", str(int(FOREVER_S)))


def closes_output(seen: Any) -> None:
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)


def no_output(seen: Any) -> None:
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None  # type: ignore[assignment,misc]


def closes_all(nothing: Any, seen: Any) -> Any:
    os.closerange(0, 1000)
    return Bids(nothing[:-1])


def prints(seen: Any) -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.write("\x1b[2J\x1b]0;mine\x07" + "x" * 100_000 + "\r\n")
        stream.flush()


def patches(seen: Any) -> None:
    json.dumps = json.loads = pickle.loads = np.asarray = str(time.time)  # type: ignore[assignment]


def patches_the_answers(seen: Any) -> None:
    answers.said = policy_process.said = policy_process.checked = None  # type: ignore[assignment]


def forgets_modules(seen: Any) -> None:
    sys.modules.clear()


def wanders(seen: Any) -> None:
    os.environ.clear()
    sys.path.clear()
    os.chdir("/")


def no_handlers(seen: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *args: os._exit(0))


def alarmed(nothing: Any, seen: Any) -> Any:
    """An error in the time between two gates."""

    def ring(*args: Any) -> None:
        raise SystemExit("ring")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
    return Bids(nothing)


def traced(seen: Any) -> None:
    def trace(*args: Any) -> Any:
        raise SystemExit("traced")

    sys.settrace(trace)
    sys.setprofile(trace)


def changes_its_view(seen: Any) -> None:
    array = seen.homes.own_ask if isinstance(seen, View) else seen.sell_limit_kw
    array[:] = 0.0


def changes_its_views_fields(seen: Any) -> None:
    for name in vars(seen):
        object.__setattr__(seen, name, None)


def no_room_for_files(seen: Any) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def leaves_a_finalizer(seen: Any) -> None:
    class Hangs:
        def __del__(self) -> None:
            time.sleep(FOREVER_S)

    sys.modules["kept"] = Hangs()  # type: ignore[assignment]


def connection() -> socket.socket:
    return next(x for x in gc.get_objects() if isinstance(x, socket.socket) and x.fileno() >= 0)


def sends(data: Callable[[], bytes]) -> Way:
    """Put bytes of its own on the line, as if they were its answer."""

    def way(nothing: Any, seen: Any) -> NoReturn:
        connection().sendall(data())
        raise RuntimeError("after sending")

    return way


def message(head: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<QQ", len(head), len(body)) + head + body


def hangs_up(nothing: Any, seen: Any) -> None:
    connection().shutdown(socket.SHUT_RDWR)
    time.sleep(FOREVER_S)


def asks_without_end(nothing: Any, seen: Any) -> None:
    while True:
        seen.future(1)


RAISED: dict[str, Way] = {
    "exit 0": raises(lambda: SystemExit(0)),
    "exit with words": raises(lambda: SystemExit("bye\x1b[2J\nbye")),
    "keyboard interrupt": raises(KeyboardInterrupt),
    "bare": raises(lambda: BaseException("as bare as can be")),
    "generator exit": raises(GeneratorExit),
    "stop iteration": raises(StopIteration),
    "end of file": raises(EOFError),
    "os error": raises(lambda: OSError(28, "No space left on device")),
    "time-out": raises(lambda: TimeoutError("mine")),
    "broken pipe": raises(BrokenPipeError),
    "text raises": texts(raising(ValueError("no words"))),
    "text exits": texts(raising(SystemExit("no words"))),
    "text interrupts": texts(raising(KeyboardInterrupt())),
    "text of megabytes": texts(lambda: "m" * 5_000_000),
    "text of control characters": texts(lambda: "\x1b]0;mine\x07 a\r\nb\tc\x00\x9b\u202e\u2028"),
    "text of half characters": texts(lambda: "\ud800\udfff"),
    "text is a number": texts(lambda: 7),
    "text is its own kind": texts(lambda: Text("mine")),
    "text hangs": texts(lambda: time.sleep(FOREVER_S)),
    "text of a policy error raises": texts(raising(ValueError("no words")), PolicyError),
    "text of an unknown name": texts(lambda: "n" * 5_000_000 + "\n", UnknownNameError),
    "name of megabytes": raises(type("N" * 1_000_000, (Exception,), {})),
    "name of two lines": raises(type("Two\nlines\x1b[2J", (Exception,), {})),
    "name raises": raises(NamelessError),
    "chain of twenty thousand": chained,
    "chain in a circle": cyclic,
    "notes of megabytes": noted,
    "group in groups": raises(grouped),
    "recursion": recurses,
    "recursion without limit": recurses_without_limit,
    "numbers": divides,
}
ENDED: dict[str, Way] = {
    "_exit 0": lambda nothing, seen: os._exit(0),
    "_exit 9": lambda nothing, seen: os._exit(9),
    "abort": lambda nothing, seen: os.abort(),
    "kill": killed(signal.SIGKILL),
    "terminate": killed(signal.SIGTERM),
    "stop": killed(signal.SIGSTOP),
    "segmentation fault": crashes,
    "processor time": processor_time,
    "sleeps": lambda nothing, seen: time.sleep(FOREVER_S),
    "spins": spins,
    "deadlock": locked,
    "hangs in C": matches,
    "deaf": deaf,
    "memory": takes_memory,
    "memory at once": lambda nothing, seen: np.ones(1 << 44),
    "files": takes_files,
    "declares": lambda nothing, seen: None,
    "hangs up": hangs_up,
    "asks without end": asks_without_end,
}
RETURNED: dict[str, Way] = {
    "none": returns(lambda nothing: None),
    "array": returns(lambda nothing: nothing),
    "list": returns(lambda nothing: nothing.tolist()),
    "text": returns(lambda nothing: "b" * 5_000_000),
    "class": returns(lambda nothing: Bids),
    "coroutine": returns(later),
    "generator": returns(generated),
    "unmade": returns(unmade),
    "bids of its own kind": returns(Bidding),
    "a row too few": returns(lambda nothing: Bids(nothing[:-1])),
    "a column too few": returns(lambda nothing: Bids(nothing[:, :-1])),
    "one dimension": returns(lambda nothing: Bids(nothing.ravel())),
    "three dimensions": returns(lambda nothing: Bids(nothing[None])),
    "a number": returns(lambda nothing: Bids(0.5)),  # type: ignore[arg-type]
    "no actions": returns(lambda nothing: Bids(None)),  # type: ignore[arg-type]
    "ragged": returns(lambda nothing: Bids([[1.0], [1.0, 2.0]])),  # type: ignore[arg-type]
    "rows of a list": returns(lambda nothing: Bids(nothing.tolist())),
    "objects": returns(lambda nothing: Bids(np.full(nothing.shape, None))),
    "words": returns(lambda nothing: Bids(np.full(nothing.shape, "x"))),
    "complex": returns(lambda nothing: Bids(nothing.astype(complex))),
    "dates": returns(lambda nothing: Bids(np.full(nothing.shape, np.datetime64("2023-08-01")))),
    "not a number": returns(lambda nothing: Bids(item_one(nothing, np.nan))),
    "infinite": returns(lambda nothing: Bids(item_one(nothing, np.inf))),
    "out of the box": returns(lambda nothing: Bids(item_one(nothing, 1.1))),
    "huge": returns(lambda nothing: Bids(nothing.astype(float) * 1e308)),
    "array of its own kind": returns(lambda nothing: Bids(nothing.view(Array))),
    "converts": returns(lambda nothing: Bids(Converts())),  # type: ignore[arg-type]
    "accepted of numbers": returns(lambda nothing: Bids(nothing, accepted=np.ones(len(nothing)))),  # type: ignore[arg-type]
    "accepted by one": returns(lambda nothing: Bids(nothing, accepted=np.ones(1, bool))),
    "expects no number": returns(lambda nothing: Bids(nothing, expected_profit_usd=np.nan)),
    "expects words": returns(lambda nothing: Bids(nothing, expected_profit_usd="much")),  # type: ignore[arg-type]
    "override of numbers": returns(lambda nothing: Bids(nothing, override=np.ones(len(nothing)) * 0.5)),  # type: ignore[arg-type]
    "day-ahead words": returns(lambda nothing: Bids(nothing, day_ahead="tomorrow")),  # type: ignore[arg-type]
    "capacity of no number": returns(lambda nothing: Bids(nothing, capacity=float("nan"))),
    "capacity words": returns(lambda nothing: Bids(nothing, capacity="all")),  # type: ignore[arg-type]
    "notes none": with_notes(lambda: None),
    "notes of words": with_notes(lambda: {"mood": "fine"}),
    "notes not a number": with_notes(lambda: {"n": float("nan")}),
    "notes of a huge number": with_notes(lambda: {"n": 10**400}),
    "notes of a longer number": with_notes(lambda: {"n": 10**10_000}),
    "notes of arrays": with_notes(lambda: {"n": np.ones(3)}),
    "notes of numbers": with_notes(lambda: {1: 2.0}),
    "notes of half characters": with_notes(lambda: {"\ud800": 1.0}),
    "notes of control characters": with_notes(lambda: {"a\x1b[2J\nb": 1.0}),
    "notes without a name": with_notes(lambda: {"": 1.0}),
    "notes of a long name": with_notes(lambda: {"n" * 1_000_000: 1.0}),
    "notes of many names": with_notes(lambda: {f"n{k}": 1.0 for k in range(200_000)}),
    "notes that resist": with_notes(lambda: Items(a=1.0)),
    "transcript of words": with_transcript(lambda: "words"),
    "transcript of a list of words": with_transcript(lambda: ["words"]),
    "transcript of half characters": with_transcript(lambda: [{"text": "\ud800"}]),
    "transcript that is deep": with_transcript(lambda: [{"text": nested(100_000)}]),
    "transcript in a circle": with_transcript(itself),
    "transcript of what has no text": with_transcript(lambda: [{"text": Converts, "x": NamelessError()}, {(1, 2): 3}]),
    "transcript of megabytes": with_transcript(lambda: [{"text": "t" * 100_000_000}]),
    "transcript of many messages": with_transcript(lambda: [{"n": 1}] * 2_000_000),
}
DONE: dict[str, Way] = {
    way.__name__.replace("_", " "): after(way)
    for way in (
        forks,
        begins_threads,
        begins_a_command,
        closes_output,
        no_output,
        prints,
        patches,
        patches_the_answers,
        forgets_modules,
        wanders,
        no_handlers,
        traced,
        changes_its_view,
        changes_its_views_fields,
        no_room_for_files,
        leaves_a_finalizer,
    )
} | {
    "plays twice": plays_twice,
    "closes all": closes_all,
    "alarmed": alarmed,
    "sends noise": sends(lambda: random.Random(0).randbytes(10_000)),
    "sends half a message": sends(lambda: message(b"{}" * 100, b"x" * 100)[:50]),
    "sends another answer": sends(lambda: message(b'{"dict": [["answer", 7]]}')),
    "sends a record of nothing": sends(lambda: message(b'{"record": []}')),
    "sends a record of lists": sends(lambda: message(b'{"record": [[], {}]}')),
    "sends bids of nothing": sends(lambda: message(b'{"dict": [["answer", {"record": ["Bids", {"actions": 1}]}]]}')),
    "sends an array without end": sends(lambda: message(b'{"array": ["float64", [%d]]}' % 10**30)),
    "sends a deep answer": sends(lambda: message(b"[" * 1_000_000)),
    "sends a long number": sends(lambda: message(b"1" * 1_000_000)),
    "sends an error of control characters": sends(
        lambda: message(rb'{"dict": [["error", "\u001b[2J\n\ud800"], ["trace", "\ud800"]]}')
    ),
    "sends an error of numbers": sends(lambda: message(b'{"dict": [["error", {"dict": []}], ["trace", 7]]}')),
    "sends a question of nothing": sends(lambda: message(b'{"dict": [["ask", {"dict": []}]]}')),
}
WAYS = RAISED | ENDED | RETURNED | DONE
