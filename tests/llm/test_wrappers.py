"""Retry, limits, budget, breaker, cassette, repair: each by itself, without a clock and without a network."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from vpp_policies.llm.chat import (
    BudgetSpent,
    CircuitOpen,
    Malformed,
    Permanent,
    Transient,
    Usage,
    clip,
    failure,
    json_schema,
    read,
)
from vpp_policies.llm.ledger import Decider, Ledger, Price
from vpp_policies.llm.received import retry_after_s
from vpp_policies.llm.stack import NAMES, LlmOptions, adapter_of, load_settings, open_stack, secret
from vpp_policies.llm.wrappers import Breaker, Metered, RateLimit, Repair, Retry

from tests.llm.forms import GOOD, SYSTEM, Form, Says, ask
from vpp_env.errors import DataError, PolicyError, UnknownNameError


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.mark.parametrize(
    "text",
    ['{"cents": "5", "parts": []}', '{"cents": 5.5, "parts": []}', '{"cents": null, "parts": []}', '{"parts": []}',
     '{"cents": 5, "parts": [], "sell": 1}', "[]", "", "I cannot", '{"cents": 5, "parts": [', '{"cents": 1e400}',
     '{"cents": true, "parts": []}'],
)  # fmt: skip
def test_only_what_fits_is_read(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        read(Form, text, Usage(1, 2), "m")
    assert caught.value.usage == Usage(1, 2)


def test_a_fence_is_taken_off_and_bounds_are_clipped() -> None:
    value = read(Form, '```json\n{"cents": 900, "parts": [{"wh": -7}, {"wh": 3}]}\n```', Usage(), "m").value
    assert isinstance(value, Form)
    clipped, count = clip(value)
    assert (clipped.cents, [p.wh for p in clipped.parts], count) == (50, [0, 3], 2)
    assert clip(clipped) == (clipped, 0)


def test_thoughts_before_an_answer_are_no_part_of_it_and_no_answer_chooses_our_time() -> None:
    text = '<think>if { then </think>\n```json\n{"cents": 5, "parts": []}\n```'
    reply = read(Form, text, Usage(), "m")
    assert reply.value == Form(cents=5)
    assert reply.text == text  # kept as it was sent
    begin = time.perf_counter()
    odds = (
        "```" + " " * 200_000,
        "<think>" * 20_000,
        "```" * 60_000,
        "key " * 50_000,
        "```json" + "\n" * 190_000 + "`",
    )
    for odd in odds:
        with pytest.raises(Malformed):
            read(Form, odd, Usage(), odd)
    assert time.perf_counter() - begin < 2.0


def test_the_schema_is_flat_and_says_all() -> None:
    schema = json_schema(Form)
    assert "$" not in json.dumps(schema)
    assert schema["required"] == ["cents", "parts"]
    assert schema["properties"]["cents"]["minimum"] == -1
    assert schema["properties"]["parts"]["items"]["required"] == ["wh"]
    assert "default" not in json.dumps(schema)


def test_retry_waits_as_told_and_ends() -> None:
    ledger, slept = Ledger(), list[float]()
    model = Says(Transient("a", retry_after=3.0), Transient("b"), GOOD)
    assert ask(Retry(model, ledger, 4, slept.append)).text == GOOD
    assert slept == [3.0, 2.0]
    assert ledger.events["retried"] == 2
    for error in (Permanent("no"), BudgetSpent("no")):
        model = Says(error)
        with pytest.raises(Permanent):
            ask(Retry(model, ledger, 4, slept.append))
        assert len(model.asked) == 1


def test_retry_after_reads_seconds_and_dates() -> None:
    now = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    assert retry_after_s("2.5") == 2.5
    assert retry_after_s("Thu, 01 Jan 2026 12:00:30 GMT", now) == 30.0
    assert retry_after_s("Thu, 01 Jan 2026 11:00:00 GMT", now) == 0.0
    assert retry_after_s("soon") is None
    assert isinstance(failure("p", 404), Permanent)
    assert failure("p", 503, "1").retry_after == 1.0  # type: ignore[attr-defined]


def test_rate_limit_by_requests_and_by_tokens() -> None:
    clock = Clock()
    limited = RateLimit(Says(GOOD), 3, 1e9, clock, clock.sleep)
    times = []
    for _ in range(7):
        ask(limited)
        times.append(clock.now)
    assert times == [0, 0, 0, 60, 60, 60, 120]
    clock = Clock()
    by_tokens = RateLimit(Says(GOOD), 1e9, 250, clock, clock.sleep)
    for _ in range(3):
        ask(by_tokens, "y" * 400)
    assert clock.now == 120.0  # each question and answer is above half of what a minute holds


def test_a_budget_is_never_exceeded() -> None:
    price = Price(1000.0, 1000.0)
    ledger = Ledger(price)
    model = Says(GOOD, usage=Usage(60, 50))
    metered = Metered(model, ledger, usd=1.0)
    while ledger.usd <= 1.0 - 0.2:
        ask(metered)
    with pytest.raises(BudgetSpent, match="of 1 USD spent"):
        ask(metered)
    assert 0 < ledger.usd <= 1.0
    assert ledger.calls == len(model.asked) > 2
    few = Metered(Says(GOOD), few_ledger := Ledger(), calls=2)
    ask(few)
    ask(few)
    with pytest.raises(BudgetSpent, match="2 calls"):
        ask(few)
    assert few_ledger.calls == 2
    with pytest.raises(BudgetSpent):
        ask(Metered(Says(GOOD), Ledger(price), usd=0.0))


def test_a_provider_that_counts_more_has_more_reserved() -> None:
    """Twice the tokens that were estimated, and half as many again as were allowed."""
    price = Price(1000.0, 1000.0)
    ledger, model = Ledger(price), Says(GOOD, usage=Usage(140, 75))
    metered = Metered(model, ledger, usd=1.0)
    with suppress(BudgetSpent):
        for _ in range(100):
            ask(metered)
    assert len(model.asked) < 100
    assert 0.5 < ledger.usd <= 1.0
    assert ledger.usd + price.usd(Usage(140, 75)) > 1.0


def test_what_may_have_been_billed_counts() -> None:
    ledger = Ledger(Price(1000.0, 1000.0))
    metered = Metered(Says(Transient("cut", maybe_billed=True), Transient("503"), GOOD), ledger)
    for _ in range(2):
        with pytest.raises(Transient):
            ask(metered)
    assert ledger.usage.tokens_out == 50  # the whole answer that was asked for, once
    ask(metered)
    assert ledger.usage.tokens_out == 70


def test_breaker_opens_and_tries_again() -> None:
    model = Says(*[Transient("down")] * 4, GOOD)
    breaker = Breaker(model, threshold=3, skips=5)
    kinds = []
    for _ in range(16):
        try:
            ask(breaker)
            kinds.append("ok")
        except CircuitOpen:
            kinds.append("open")
        except Transient:
            kinds.append("down")
    assert kinds == ["down"] * 3 + ["open"] * 5 + ["down"] + ["open"] * 5 + ["ok"] * 2
    # answers that do not fit, and a spent budget, are not the provider's failure
    patient = Breaker(Says("no json"), threshold=1)
    for _ in range(3):
        with pytest.raises(Malformed):
            ask(patient)


def test_one_repair_and_no_more() -> None:
    ledger = Ledger()
    model = Says("no json", GOOD, usage=Usage(10, 1))
    reply = ask(Repair(model, ledger), "the data")
    assert reply.usage == Usage(20, 2)
    assert model.asked[1].startswith("the data")
    assert "no json" in model.asked[1]
    assert ledger.events == {"malformed": 1, "repaired": 1}
    bad = Says("no json")
    assert Decider(ledger).ask(Repair(bad, ledger), SYSTEM, "x", Form, 50) is None
    assert len(bad.asked) == 2
    assert ledger.decisions == {"fallback": 1}


def test_keys_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PolicyError, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        secret(names)
    assert secret(names, required=False) is None
    (tmp_path / ".env").write_text("# mine\nexport GEMINI_API_KEY='from-file'\nOTHER=1\n")
    assert secret(names) == "from-file"
    monkeypatch.setenv("GOOGLE_API_KEY", "from-env")
    assert secret(names) == "from-env"


@pytest.mark.parametrize("where", ["sk-not-a-key-1@host", "me:sk-not-a-key-1@host", "host/v1?key=sk-not-a-key-1"])
def test_an_address_holds_no_key(where: str) -> None:
    """Options are written into manifests, logs and cassettes as they were called."""
    with pytest.raises(PolicyError, match="the address of host holds a name, a password or a query") as told:
        LlmOptions("openai", model="m", base_url=f"https://{where}")
    assert "sk-not-a-key-1" not in str(told.value)


def test_options_are_checked_and_models_configured(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gemini"):
        LlmOptions("gemin")
    for bad in (
        {"budget_usd": -1.0},
        {"max_calls": -1},
        {"timeout_s": 0.0},
        {"attempts": 0},
        {"budget_usd": float("nan")},
    ):
        with pytest.raises(PolicyError):
            LlmOptions(**bad)  # type: ignore[arg-type]
    own = tmp_path / "models.toml"
    own.write_text(
        '[scripted]\nmodel = "mine"\nusd_per_mtok_in = 2\nusd_per_mtok_out = 4\nrequests_per_minute = 10\n'
        "tokens_per_minute = 100\nkeys = []\n"
    )
    assert adapter_of(LlmOptions("scripted", models=str(own)))[1].price == Price(2.0, 4.0)
    assert adapter_of(LlmOptions("scripted", model="other"))[1].model == "other"
    own.write_text("[scripted]\nmodel = 1\n")
    with pytest.raises(DataError, match="usd_per_mtok_in"):
        load_settings("scripted", str(own))
    whole = '[scripted]\nmodel = "m"\nusd_per_mtok_in = 2\nusd_per_mtok_out = 4\nrequests_per_minute = 10\n'
    whole += "tokens_per_minute = 100\n"
    for line in ("keys = [[]]", "keys = 3", 'keys = "KEY"', 'keys = []\nomit = "x"', "keys = []\nconcurrency = 0"):
        own.write_text(whole + line + "\n")
        with pytest.raises(DataError, match=line.split()[-3]):
            load_settings("scripted", str(own))
    with pytest.raises(UnknownNameError):
        load_settings("nobody")
    assert "replay" in NAMES
    assert open_stack(LlmOptions("scripted")).model.provider == "scripted"
