"""A policy in a process of its own: it is sent views, and sends back bids as plain numbers.

    with player("path/to/file.py:MyPolicy") as policy:      # not of the registry: isolated
        run = simulate(month, policy)

The process is told the market's rules, a random stream and views; it never holds a world, a month, a seed or the
evaluator that judges it. What goes to it is pickled here and read there. What comes back is never unpickled: JSON and
raw numbers, built into `Bids` field by field, so that no answer executes anything here. docs/information.md says what
a process does not keep apart (files, and the memory of other processes of the same user).
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, MarketRules, Policy, PolicyInfo, is_outside, make_policy
from vpp_env.contract.terms import Answers, Offers, Terms, check_offers
from vpp_env.contract.views import Future, Information, View
from vpp_env.errors import BidError, InformationError, PolicyError, UnknownNameError, VppError
from vpp_env.evaluation.answers import HEAD, MOST_BYTES, PolicyFailure, decode_answer, encode_answer, said
from vpp_env.evaluation.returned import checked
from vpp_env.scenario.streams import SALT_VARIABLE
from vpp_env.units import Flags

TIMEOUT_S = 600.0
"""Longest that one answer is waited for [assumed]: a language model's negotiation takes minutes."""
START_S = 60.0
"""Least that its start and its imports are waited for [assumed]: a busy machine takes tens of seconds."""
TRACE = 20_000
"""Characters of a traceback that are told: the end of it, where the error is."""
FUTURE = ("future", "foresight")
REFUSALS: dict[str, type[VppError]] = {"bid": BidError, "information": InformationError, "other": VppError}
"""How the owners' table refuses what it is asked, in the policy's process as in this one."""
START = "from vpp_env.evaluation.isolation import serve; serve({})"


# -- the policy's own process ------------------------------------------------------------------------------


def _exactly(connection: socket.socket, n: int, deadline: float | None = None) -> bytes:
    """Read n bytes; raise EOFError at the end of the stream, TimeoutError at the deadline."""
    parts, left = [], n
    while left:
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 1e-3))
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
    (length, _) = HEAD.unpack(_exactly(connection, HEAD.size))
    return pickle.loads(_exactly(connection, length))  # from the process that started this one


def _where(error: BaseException) -> str:
    """Return the file and line of the policy's own code that raised it, in brackets; empty where it is not its own."""
    ours, others = Path(__file__).parents[1], [Path(p) for p in sysconfig.get_paths().values()]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and not any(path.is_relative_to(p) for p in (ours, *others)):
            return f" ({path.name}, line {frame.lineno})"
    return ""


def serve(fd: int) -> None:
    """Play the policy's part until the other side hangs up: the main function of its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the evaluator, which then hangs up
    connection = socket.socket(fileno=fd)
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
            known = isinstance(error, PolicyError | UnknownNameError)
            told = (str(error) if known else said(error)) + _where(error)
            trace = "".join(traceback.format_exception(error))
            message = encode_answer({"error": told.encode(errors="replace").decode(), "trace": trace[-TRACE:]})
        connection.sendall(message)


# -- the evaluator's side ----------------------------------------------------------------------------------


class IsolatedPolicy:
    """A policy that plays in a process of its own; a `Policy` like any other for who calls it.

    Parameters
    ----------
    spec : str
        As on the command line: `package.module:Class(option=1)` or `path/to/file.py:Class`.
    timeout_s : float
        Longest that one answer is waited for.

    Raises
    ------
    PolicyFailure
        When it cannot be made; later from `reset` and `act` when it raises, dies or takes too long. After a failure,
        and after Ctrl-C, its process is ended.
    """

    def __init__(self, spec: str, timeout_s: float = TIMEOUT_S) -> None:
        self.spec, self.timeout_s = spec, timeout_s
        self._view: View | None = None
        self._connection, theirs = socket.socketpair()
        env = {name: value for name, value in os.environ.items() if name != SALT_VARIABLE}
        env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", START.format(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            env=env,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        told = self._call("make", spec)
        try:
            told |= {"information": Information(told["information"]), "consent": Consent[told["consent"]]}
            self.info = PolicyInfo(**told)
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise PolicyFailure(f"policy {spec!r} declares something that cannot be read: {error!r}") from error

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month there."""
        self._call("reset", rules, rng)

    def act(self, view: View) -> Bids:
        """Return the bids that the policy there makes of a copy of the view."""
        self._view = view
        # the future is tens of MB: it goes there when the policy asks for it
        rounds = None if view.table is None else (view.table.round, view.table.rounds_left)
        bids = self._call("act", dataclasses.replace(view, oracle=None, table=None), view.oracle is not None, rounds)
        if not isinstance(bids, Bids):  # its process was tampered with: `serve` answers nothing else
            self.close()
            raise PolicyFailure(f"act() of {self.spec!r} returned {type(bids).__name__}; allowed is Bids")
        return bids

    def close(self) -> None:
        """End its process."""
        self._connection.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()

    def _send(self, value: Any) -> None:
        data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        self._connection.settimeout(self.timeout_s)
        self._connection.sendall(HEAD.pack(len(data), 0) + data)

    def _call(self, *message: Any) -> Any:
        if self._connection.fileno() < 0:
            raise PolicyFailure(f"the process of policy {self.spec!r} has been ended; make the policy anew")
        limit = max(self.timeout_s, START_S) if message[0] == "make" else self.timeout_s
        deadline = time.monotonic() + limit
        try:
            self._send(message)
            while True:
                head, body = HEAD.unpack(_exactly(self._connection, HEAD.size, deadline))
                if head + body > MOST_BYTES:
                    raise PolicyFailure(f"the policy's process sent {head + body} bytes; allowed are {MOST_BYTES}")
                data = _exactly(self._connection, head + body, deadline)
                told = decode_answer(data[:head], data[head:])
                if not isinstance(told, dict) or "ask" not in told:
                    break
                self._send(self._future(told) if told["ask"] in FUTURE else self._owners(told))
        except TimeoutError as error:
            self.close()
            raise PolicyFailure(f"{message[0]} took longer than {limit:g} s; its process was ended") from error
        except (EOFError, OSError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
            code = self._process.poll()
            self.close()
            raise PolicyFailure(f"the policy's process {_ended(code)} during {message[0]}") from error
        except BaseException:  # Ctrl-C among them: half an answer may be on its way, so nothing can be asked again
            self.close()
            raise
        if not isinstance(told, dict) or "answer" not in told:
            self.close()
            error_text, trace = (str(told.get(k, "")) if isinstance(told, dict) else "" for k in ("error", "trace"))
            raise PolicyFailure(error_text or "the policy's process sent no answer", trace)
        return told["answer"]

    def _owners(self, asked: dict[str, Any]) -> tuple[str, Any]:
        """Let the owners answer, if the view that is being played has a table: (kind of a refusal or empty, answer)."""
        table = None if self._view is None else self._view.table
        if table is None:
            raise PolicyFailure("the policy's process asks the owners, which was not granted to it")
        try:
            if asked["ask"] == "propose":
                messages = {int(home): text for home, text in asked["messages"]} or None
                if not isinstance(asked["offers"], Offers):
                    raise BidError(f"propose() got a {type(asked['offers']).__name__}; allowed is vpp_env.Offers")
                return "", table.propose(dataclasses.replace(asked["offers"], messages=messages))
            if asked["ask"] == "end":
                table.end(asked["rows"])
                return "", None
            if asked["ask"] == "contracts":
                return "", (table.in_force, table.terms)
        except tuple(REFUSALS.values()) as error:
            return next(name for name, kind in REFUSALS.items() if isinstance(error, kind)), str(error)
        except (KeyError, TypeError, ValueError) as error:
            raise PolicyFailure(f"the policy's process asks the owners what cannot be read ({error!r})") from error
        raise PolicyFailure(f"the policy's process asks for {asked['ask']!r:.40}")

    def _future(self, asked: dict[str, Any]) -> Any:
        """Answer for the future, if the view that is being played has one to ask."""
        if self._view is None or self._view.oracle is None:
            raise PolicyFailure("the policy's process asks for the future, which was not granted to it")
        if asked["ask"] == "foresight":
            return self._view.oracle.foresight()
        return self._view.oracle.future(int(asked["steps"]))


def _ended(code: int | None) -> str:
    if code is None:
        return "hung up"
    return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"


@contextmanager
def player(spec: str, timeout_s: float = TIMEOUT_S) -> Iterator[Policy]:
    """Make a policy from its command-line form: one of this package in this process, any other one in its own.

    Raises
    ------
    UnknownNameError, PolicyError
        When it cannot be made.
    """
    if not is_outside(spec):
        yield make_policy(spec)
        return
    policy = IsolatedPolicy(spec, timeout_s)
    try:
        yield policy
    finally:
        policy.close()
