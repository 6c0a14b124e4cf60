"""Many calls side by side: as fast as they should be, and the same bytes at any concurrency."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import month
from vpp_policies.agentic import agentic
from vpp_policies.llm import LlmOptions, Refused, open_stack
from vpp_policies.llm.chat import Denied, Question, Reply, Transient, Usage, read
from vpp_policies.llm.ledger import Decider, Ledger, Price
from vpp_policies.llm.prompts import version_of
from vpp_policies.llm.scripted import Scripted
from vpp_policies.llm.threads import in_time, side_by_side

from tests.llm.forms import GOOD, SYSTEM, Form
from tests.llm.server import serve
from vpp_env.evaluation.simulate import Run, simulate


def questions(n: int) -> list[Question]:
    return [Question(SYSTEM, f"home {i}", Form, 50) for i in range(n)]


class Slow:
    """Answer by the question, the later ones sooner; some are out of order, wrong or lost, by their number."""

    provider, model = "slow", "s-1"
    price = Price(100.0, 100.0)

    def __init__(self, odd: bool = True) -> None:
        self.lock, self.lost, self.odd = threading.Lock(), set[str](), odd

    def complete(self, system: str, user: str, schema: Any, max_tokens: int, timeout_s: float) -> Reply:
        i = int(user.split("\n")[0].removeprefix("home "))
        time.sleep(0.0002 * (60 - i % 60))
        if self.odd and i % 7 == 3:
            with self.lock:
                first = user not in self.lost
                self.lost.add(user)
            if first:
                raise Transient("lost", retry_after=0.0, maybe_billed=True)
        if self.odd and i % 11 == 5 and "\n" not in user:
            return read(schema, "no json", Usage(30, 7), self.model)
        return read(schema, json.dumps({"cents": i % 50, "parts": []}), Usage(40 + i, 20), self.model)


def asked(concurrency: int, tape: Path, **options: Any) -> tuple[list[Any], dict[str, float], bytes]:
    stack = open_stack(LlmOptions(Slow(), cassette=str(tape), concurrency=concurrency, **options))
    decider = Decider(stack.ledger, 5.0)
    # some owners say the same words
    answers = decider.ask_all(stack.model, [*questions(60), *questions(5)])
    more = decider.ask_all(stack.model, questions(70)[55:])
    stack.close()
    totals = stack.ledger.totals()
    totals.pop("llm_seconds")
    return [None if a is None else (a.value, a.source) for a in (*answers, *more)], totals, tape.read_bytes()


@pytest.mark.parametrize("options", [{}, {"max_calls": 41}, {"budget_usd": 0.4}])
def test_the_same_bytes_at_concurrency_1_and_32(tmp_path: Path, options: dict[str, Any]) -> None:
    one = asked(1, tmp_path / "1.sqlite", **options)
    many = asked(32, tmp_path / "32.sqlite", **options)
    assert one == many
    assert one[1]["llm_retried"] > 0
    assert one[1]["llm_repaired"] > 0 or options
    if options:
        assert one[1]["llm_budget"] > 0
        assert one[1]["llm_calls"] <= options.get("max_calls", 1000)
        assert one[1]["llm_usd"] <= options.get("budget_usd", 1000)
        assert one[0][0] is not None
        assert one[0][-1] is None


def test_a_month_is_the_same_at_any_concurrency(tmp_path: Path) -> None:
    """Prompts, bids, notes, transcript and cassette, over HTTP against a server that answers in any order."""
    program = Scripted()

    def says(body: dict[str, Any]) -> str:
        system, user = (m["content"] for m in body["messages"])
        time.sleep(0.001 * (len(user) % 13))
        name = version_of(system).partition(" ")[0]
        from vpp_policies.agentic.card import PreferenceCard
        from vpp_policies.agentic.openings import OpeningAsks
        from vpp_policies.agentic.strategy import Strategy

        schema = {"card": PreferenceCard, "strategy": Strategy, "openings": OpeningAsks}[name]
        return program.complete(system, user, schema, 500, 5.0).text

    def played(concurrency: int) -> tuple[Run, bytes]:
        tape = tmp_path / f"{concurrency}.sqlite"
        with serve("good", says=says) as (address, _):
            policy = agentic(
                brain="llm", llm="openai", base_url=f"http://{address}/v1", mode="full", sample_hours=2,
                concurrency=concurrency, cassette=str(tape),
            )  # fmt: skip
            run = simulate(month("quick", {}), policy)
            policy.brain.close()  # type: ignore[attr-defined]
        return run, tape.read_bytes()

    (one, tape_one), (many, tape_many) = played(1), played(32)
    clocked = ["decision_time", "optimization_time", "notes_optimization_s", "notes_llm_seconds"]
    tables = [r.record.opportunities().drop(columns=clocked, errors="ignore") for r in (one, many)]
    pd.testing.assert_frame_equal(*tables)
    assert one.record.transcripts == many.record.transcripts
    assert tape_one == tape_many
    assert tables[0]["notes_llm_by_model"].sum() > 10


def crowd(n: int, delay_s: float, concurrency: int) -> tuple[float, int, Ledger]:
    with serve("good", delay_s=delay_s) as (address, script):
        script.answer = GOOD
        options = LlmOptions("openai", base_url=f"http://{address}/v1", concurrency=concurrency, timeout_s=20.0)
        stack = open_stack(options)
        begin = time.perf_counter()
        answers = Decider(stack.ledger, 20.0).ask_all(stack.model, questions(n))
        seconds = time.perf_counter() - begin
        assert all(a is not None for a in answers)
        assert script.calls == stack.ledger.calls == n
        return seconds, script.most_under_way, stack.ledger


def test_calls_run_side_by_side() -> None:
    seconds, most, ledger = crowd(64, 0.1, 32)
    # one alone, then two waves; one after the other would be 6.4 s
    assert 20 < most <= 40  # a server counts a call until it has seen its end
    assert ledger.seconds == pytest.approx(seconds, abs=0.5)
    assert ledger.seconds < 3.2


@pytest.mark.slow
def test_two_hundred_calls_of_a_second_take_at_most_ten() -> None:
    for concurrency in (32, 200):
        seconds, most, _ = crowd(200, 1.0, concurrency)
        print(f"\n200 calls of 1 s at concurrency {concurrency}: {seconds:.1f} s, {most} under way at most")
        assert seconds <= 10.0


@pytest.mark.slow
def test_an_hour_of_full_talk_takes_at_most_ten_seconds() -> None:
    """Every home that can sell is asked by itself, at a server that takes a second for each."""
    program = Scripted()

    def says(body: dict[str, Any]) -> str:
        from vpp_policies.agentic.openings import OpeningAsks

        system, user = (m["content"] for m in body["messages"])
        return program.complete(system, user, OpeningAsks, 500, 5.0).text

    # the gates of the first two hours were before the month
    evening = {"time.start": "2023-08-01T18:00", "time.duration_hours": 3}
    with serve("good", delay_s=1.0, says=says) as (address, script):
        policy = agentic(
            brain="llm", llm="openai", base_url=f"http://{address}/v1", mode="full", sample_hours=1,
            without="cards,strategy", concurrency=200,
        )  # fmt: skip
        run = simulate(month("august", evening), policy)
    table = run.record.opportunities()
    seconds = float(table["notes_llm_seconds"].sum())
    print(f"\nan hour of full talk with {script.calls} homes: {seconds:.1f} s")
    assert script.calls == table["notes_llm_by_model"].sum() > 50
    assert seconds <= 10.0


def test_ctrl_c_waits_for_nobodys_answer() -> None:
    done: list[int] = []

    def slow(i: int) -> int:
        time.sleep(1.5)
        done.append(i)
        return i

    main = threading.main_thread().ident
    assert main is not None
    killer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    try:
        begin = time.perf_counter()
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            side_by_side(slow, range(100), 8)
        assert time.perf_counter() - begin < 1.2
    finally:
        signal.signal(signal.SIGINT, before)
    time.sleep(2.0)
    assert len(done) <= 8  # nothing was begun after it


def test_a_refusal_for_good_stops_a_batch() -> None:
    class Denies(Slow):
        calls = 0

        def complete(self, *args: Any) -> Reply:
            with self.lock:
                self.calls += 1
            if args[1] == "home 0":
                return super().complete(*args)
            raise Denied("slow: HTTP 401: no such key")

    for concurrency in (1, 8):
        model = Denies(odd=False)
        stack = open_stack(LlmOptions(model, concurrency=concurrency))
        with pytest.raises(Refused, match=r"no such key.*--llm-fallback rules"):
            stack.model.complete(SYSTEM, "home 1", Form, 50, 5.0)
        assert model.calls == 1
        model = Denies(odd=False)
        stack = open_stack(LlmOptions(model, concurrency=concurrency))
        with pytest.raises(Refused):
            Decider(stack.ledger).ask_all(stack.model, questions(100))
        assert model.calls <= 1 + concurrency
        assert stack.ledger.calls == model.calls
    model = Denies(odd=False)
    stack = open_stack(LlmOptions(model, concurrency=8, fallback="rules"))
    answers = Decider(stack.ledger).ask_all(stack.model, questions(100))
    assert answers[0] is not None
    assert answers[1:] == [None] * 99
    assert stack.ledger.events["permanent"] + stack.ledger.events["circuit"] == 99


def test_threads_keep_order_raise_the_first_error_and_end_in_time() -> None:
    assert side_by_side(lambda i: i * i, range(100), 16) == [i * i for i in range(100)]
    assert side_by_side(lambda i: i, [], 16) == []

    def fails(i: int) -> int:
        time.sleep(0.01 * (9 - i % 10))
        if i % 10 > 5:
            raise ValueError(i)
        return i

    with pytest.raises(ValueError, match="6"):
        side_by_side(fails, range(10), 10)
    assert in_time(lambda: 3, 1.0) == 3
    with pytest.raises(TimeoutError):
        in_time(lambda: time.sleep(2.0), 0.05)
    with pytest.raises(KeyError):
        in_time(lambda: {}["a"], 1.0)
