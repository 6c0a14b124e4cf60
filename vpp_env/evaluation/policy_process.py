"""The process that a policy from outside plays in: it is told views, and answers with bids or with what went wrong.

Whatever the policy raises is told to the evaluator with file and line. Where it hangs or crashes, the interpreter
writes its stack into a file of the evaluator's (`faulthandler`). When the evaluator is gone, this process and what it
has begun end.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import inspect
import os
import pickle
import re
import select
import signal
import socket
import sysconfig
import threading
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vpp_env.contract.policy import Policy, make_policy
from vpp_env.contract.terms import Answers, Offers, Terms, check_offers
from vpp_env.contract.views import Future
from vpp_env.errors import BidError, InformationError, PolicyError, UnknownNameError, VppError, nearest
from vpp_env.evaluation.answers import HEAD, encode_answer, said, text_of
from vpp_env.evaluation.returned import checked
from vpp_env.units import Flags

TRACE = 20_000
"""Characters of a traceback that are told: the end of it, where the error is."""
REFUSALS: dict[str, type[VppError]] = {"bid": BidError, "information": InformationError, "other": VppError}
"""How the owners' table refuses what it is asked, in the policy's process as in this one."""
_FRAME = re.compile(r'^  File "(.*)", line (\d+)', re.MULTILINE)


def exactly(connection: socket.socket, n: int, deadline: float | None = None) -> bytes:
    """Read n bytes; raise EOFError at the end of the stream, TimeoutError at the deadline."""
    parts, left = [], n
    while left:
        if deadline is not None:
            remaining = deadline - time.monotonic()
            if remaining <= 0.0:  # also where something has come in time: who asks without end is late
                raise TimeoutError
            connection.settimeout(remaining)
        part = connection.recv(min(left, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@dataclasses.dataclass(frozen=True, eq=False)
class _Asks:
    """The oracle of a view in another process: asks for the future when the policy does."""

    connection: socket.socket

    def _ask(self, what: str, steps: int = 0) -> Any:
        self.connection.sendall(encode_answer({"ask": what, "steps": steps}))
        return _receive(self.connection)

    def future(self, steps: int) -> Future:
        return self._ask("future", steps)

    def foresight(self) -> Any:
        return self._ask("foresight")


@dataclasses.dataclass(eq=False)
class _TableAsks:
    """The owners' table of a view in another process: every offer goes to the evaluator, which hears the owners."""

    connection: socket.socket
    round: int
    rounds_left: int

    def _ask(self, **what: Any) -> Any:
        self.connection.sendall(encode_answer(what))
        refused, answer = _receive(self.connection)
        if refused:
            raise REFUSALS[refused](answer)
        return answer

    def propose(self, offers: Offers) -> Answers:
        checked_here = check_offers(offers, len(offers.to) if isinstance(offers, Offers) else 0)
        texts = [[home, text] for home, text in (checked_here.messages or {}).items()]
        plain = dataclasses.replace(checked_here, messages=None)
        answers: Answers = self._ask(ask="propose", offers=plain, messages=texts)
        self.round, self.rounds_left = answers.round, answers.of_rounds - answers.round
        return answers

    def end(self, rows: Flags) -> None:
        self._ask(ask="end", rows=np.asarray(rows))

    @property
    def in_force(self) -> Flags:
        return self._ask(ask="contracts")[0]

    @property
    def terms(self) -> Terms:
        return self._ask(ask="contracts")[1]


def _receive(connection: socket.socket) -> Any:
    (length, _) = HEAD.unpack(exactly(connection, HEAD.size))
    return pickle.loads(exactly(connection, length))  # from the process that started this one


def own_line(frames: Iterable[tuple[str, int | None]]) -> str:
    """Return file and line of the first of these frames that is the policy's own code, in brackets; else nothing."""
    ours, others = Path(__file__).parents[1], [Path(p) for p in sysconfig.get_paths().values()]
    for name, line in frames:
        path = Path(name)
        installed = "site-packages" in path.parts or any(path.is_relative_to(p) for p in (ours, *others))
        if path.is_absolute() and not installed:
            return f" ({path.name}, line {line})"
    return ""


def stack_line(dump: str) -> str:
    """Return the same of a stack that `faulthandler` has written."""
    return own_line((name, int(line)) for name, line in _FRAME.findall(dump))


def _where(error: BaseException) -> str:
    with suppress(Exception):  # an error of somebody else's making: where it was is told only if it can be had
        frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        return own_line(reversed(frames))
    return ""


def _defined(policy: Policy) -> str:
    """Return where `act` of a policy is written, in brackets."""
    with suppress(Exception):
        code = inspect.unwrap(type(policy).act).__code__
        return f" ({Path(code.co_filename).name}, line {code.co_firstlineno})"
    return ""


def _nearest_field(error: BaseException) -> str:
    """Return `. Did you mean ...?` where a field of a view, of its parts or of the rules was misspelt."""
    with suppress(Exception):  # an error of somebody else's making, as above
        if isinstance(error, AttributeError) and type(error.obj).__module__.startswith("vpp_env."):
            near = nearest(str(error.name), [name for name in dir(error.obj) if not name.startswith("_")])
            return f".{near}" if near else ""
    return ""


def _told(error: BaseException, defined: str) -> bytes:
    """Encode what the policy has raised, or what was wrong with what it returned from the method that is `defined`."""
    known = isinstance(error, PolicyError | UnknownNameError)
    told = (text_of(error) if known else said(error)) + _nearest_field(error) + (_where(error) or defined)
    try:
        trace = "".join(traceback.format_exception(error))
    except BaseException as second:  # noqa: BLE001 - its parts are somebody else's
        trace = f"its traceback cannot be had: {said(second)}"
    return encode_answer({"error": told, "trace": trace[-TRACE:]})


def _with_the_evaluator(fd: int) -> None:
    """End this process, and what it has begun, when the other side of its line is closed."""
    poll = select.poll()
    poll.register(fd, 0)  # the end alone, and nothing that comes in
    poll.poll()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def serve(fd: int, faults: int) -> None:
    """Play the policy's part until the other side hangs up: the main function of its process.

    Parameters
    ----------
    fd : int
        The line to the evaluator.
    faults : int
        File descriptor that the stack is written to where the policy crashes, or is asked by SIGUSR1 where it is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the evaluator, which then hangs up
    faulthandler.enable(file=faults)
    faulthandler.register(signal.SIGUSR1, file=faults, all_threads=True)
    with suppress(OSError):  # where memory is short, this process goes before the evaluator and its neighbours do
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    threading.Thread(target=_with_the_evaluator, args=(fd,), daemon=True).start()
    connection, process = socket.socket(fileno=fd), os.getpid()
    policy: Policy | None = None
    while True:
        try:
            what, *parts = _receive(connection)
        except (EOFError, OSError):
            return
        try:
            if what == "make":
                policy = make_policy(parts[0])
                answer: Any = {f.name: getattr(policy.info, f.name) for f in dataclasses.fields(policy.info)}
                answer |= {"information": int(policy.info.information), "consent": policy.info.consent.name}
                answer = {"info": answer, "defined": _defined(policy)}
            elif policy is None:
                raise PolicyError(f"{what!r} before the policy was made")
            elif what == "reset":
                policy.reset(*parts)
                answer = None
            else:
                view, oracle, rounds = parts
                table = None if rounds is None else _TableAsks(connection, *rounds)
                asks = _Asks(connection) if oracle else None
                bids = policy.act(dataclasses.replace(view, oracle=asks, table=table))
                answer = checked(bids, len(view.homes.own_ask))
            message = encode_answer({"answer": answer})
        except BaseException as error:  # noqa: BLE001 - SystemExit too: told to the other side, which raises it
            message = _told(error, "" if policy is None else _defined(policy))
        if os.getpid() != process:  # a copy that the policy has made of this process; the line is not its own
            os._exit(0)
        connection.sendall(message)
