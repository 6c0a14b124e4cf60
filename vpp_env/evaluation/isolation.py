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
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, MarketRules, Policy, PolicyInfo, is_outside, make_policy
from vpp_env.contract.terms import Offers
from vpp_env.contract.views import Information, View
from vpp_env.errors import BidError, PolicyError, VppError
from vpp_env.evaluation.answers import HEAD, MOST_BYTES, PolicyFailure, decode_answer
from vpp_env.evaluation.policy_process import REFUSALS, TRACE, exactly, stack_line
from vpp_env.scenario.streams import SALT_VARIABLE

TIMEOUT_S = 600.0
"""Longest that one answer is waited for [assumed]: a language model's negotiation takes minutes."""
START_S = 60.0
"""Least that its start and its imports are waited for [assumed]: a busy machine takes tens of seconds."""
TELLS_S = 1.0
"""Longest that a process which hangs is waited for to say where [assumed]."""
FUTURE = ("future", "foresight")
START = "from vpp_env.evaluation.policy_process import serve; serve({}, {})"


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
        self._defined = ""
        self._faults = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._connection, theirs = socket.socketpair()
        env = {name: value for name, value in os.environ.items() if name != SALT_VARIABLE}
        env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", START.format(theirs.fileno(), self._faults.fileno())],
            stdin=subprocess.DEVNULL,
            env=env,
            pass_fds=(theirs.fileno(), self._faults.fileno()),
            process_group=0,  # what it begins is of its group, and ends with it
        )
        theirs.close()
        told = self._call("make", spec)
        try:
            told, self._defined = told["info"], str(told["defined"])
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
            raise self.failed(PolicyError(f"act() returned a {type(bids).__name__}; allowed is Bids"))
        return bids

    def close(self) -> None:
        """End its process, and what it has begun."""
        self._connection.close()
        self._faults.close()
        with suppress(ProcessLookupError, PermissionError):  # the latter: macOS, of what has ended
            os.killpg(self._process.pid, signal.SIGKILL)
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
                head, body = HEAD.unpack(exactly(self._connection, HEAD.size, deadline))
                if head + body > MOST_BYTES:
                    raise PolicyFailure(f"the policy's process sent {head + body} bytes; allowed are {MOST_BYTES}")
                data = exactly(self._connection, head + body, deadline)
                told = decode_answer(data[:head], data[head:])
                if not isinstance(told, dict) or "ask" not in told:
                    break
                asked = time.monotonic()
                self._send(self._future(told) if told["ask"] in FUTURE else self._owners(told))
                deadline += time.monotonic() - asked  # what the owners take is not the policy's time
        except TimeoutError as error:
            where = self._hangs_at()
            self.close()
            raise PolicyFailure(f"{message[0]} took longer than {limit:g} s; its process was ended{where}") from error
        except (EOFError, OSError) as error:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2.0)
            code, where = self._process.poll(), stack_line(self._stack()) or self._defined
            self.close()
            raise PolicyFailure(f"the policy's process {_ended(code)} during {message[0]}{where}") from error
        except PolicyFailure as error:  # what it has sent is nothing that can be read or granted
            self.close()
            raise self.failed(error) from error
        except BaseException:  # Ctrl-C among them: half an answer may be on its way, so nothing can be asked again
            self.close()
            raise
        if not isinstance(told, dict) or "answer" not in told:
            self.close()
            error_text, trace = (str(told.get(k, "")) if isinstance(told, dict) else "" for k in ("error", "trace"))
            raise PolicyFailure(error_text or f"the policy's process sent no answer{self._defined}", trace)
        return told["answer"]

    def _stack(self) -> str:
        """What the interpreter there has written of a crash, or of where it is."""
        self._faults.seek(0)
        return self._faults.read(TRACE).decode(errors="replace")

    def _hangs_at(self) -> str:
        """Ask the process where it is: file and line in brackets, of its `act` where it does not say."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + TELLS_S
        while not (found := stack_line(self._stack())) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found or self._defined

    def failed(self, error: VppError) -> PolicyFailure:
        """Return an error about what it has answered or declared as one that says where it is written."""
        return PolicyFailure(f"{error}{self._defined}")

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
    except PolicyFailure:
        raise
    except (BidError, PolicyError) as error:
        raise policy.failed(error) from error
    finally:
        policy.close()
