"""The standard recording over HTTP: a server that misbehaves now and then, card and bill, and the replay to the bit."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from vpp_benchmarks.llm import cassette, recording
from vpp_benchmarks.llm.recording import BILL, CARD, CASSETTE, Part, check, record
from vpp_policies.agentic.card import PreferenceCard
from vpp_policies.agentic.conversation import Turn
from vpp_policies.agentic.strategy import Strategy
from vpp_policies.llm.prompts import version_of
from vpp_policies.llm.scripted import Scripted

from tests.llm.server import serve
from vpp_env.errors import DataError, PolicyError

SCHEMAS = {"card": PreferenceCard, "strategy": Strategy, "conversation": Turn}
PARTS = (
    Part("an hour", "week20", changes={"time.duration_hours": 1}, options={"talk": 4, "every_days": 1}),
    Part("one more", "quick", changes={"time.duration_hours": 1}, options={"talk": 2, "every_days": 1}),
)


def says(body: dict[str, Any]) -> str:
    system, user = (m["content"] for m in body["messages"])
    name = version_of(system).partition(" ")[0]
    return Scripted().complete(system, user.split("\n\n")[0], SCHEMAS[name], 700, 5.0).text  # type: ignore[type-var]


def test_a_recording_over_http_is_played_again_to_the_bit(tmp_path: Path) -> None:
    steps = [
        "good",
        "500",
        "wrong",
        "good",
        "cut off",
        "usage null",
        "garbage",
        "blocked",
        *["good"] * 28,
        "drip",
        "good",
    ]
    with serve(*steps, says=says) as (address, script):
        reach = {"llm": "openai", "model": "m-1", "base_url": f"http://{address}/v1", "timeout_s": 1.0, "attempts": 2}
        said: list[str] = []
        card = record(tmp_path, reach, PARTS, said.append)
        asked = script.calls
    assert [line.partition(":")[0] for line in said] == ["an hour", "an hour", "one more", "one more"]
    assert "USD; its tokens are taken to be free" in said[0]
    assert "bill" in said[1]
    assert sum(p["calls"] for p in card["parts"]) == asked
    assert card["provider"] == "openai"
    assert card["model"] == "m-1"
    assert card["made_by"] == "a model behind an API"
    assert card["failures"] >= 2
    assert {"card v1", "conversation v1"} <= set(card["prompts"])
    assert card["parts"][0]["events"]["malformed"] > 0
    assert json.loads((tmp_path / CARD).read_text()) == card
    bill = (tmp_path / BILL).read_text()
    assert all(p["name"] in bill for p in card["parts"])
    # nobody is there any more
    assert check(tmp_path, PARTS) == []
    # and a recording that was cut off asks only for what is missing
    with serve("good", says=says) as (address, script):
        again = record(tmp_path, reach | {"base_url": f"http://{address}/v1"}, PARTS)
        assert script.calls < asked / 3
    assert again["failures"] <= card["failures"]


def test_a_recording_without_an_answer_ends_with_its_first_part(tmp_path: Path) -> None:
    with serve("500", says=says) as (address, _):
        reach = {"llm": "openai", "model": "m-1", "base_url": f"http://{address}/v1", "attempts": 1}
        with pytest.raises(PolicyError, match=r"an hour: got no usable answer .*transient"):
            record(tmp_path, reach, PARTS)
    assert not (tmp_path / CARD).exists()
    with pytest.raises(PolicyError, match="allowed is an address"):
        record(tmp_path, reach | {"base_url": "http:///v1"}, PARTS)


def test_what_was_changed_is_found(tmp_path: Path) -> None:
    record(tmp_path, {"llm": "scripted"}, PARTS[1:])
    assert check(tmp_path, PARTS[1:]) == []
    assert check(tmp_path, PARTS) == ["an hour: not on the card"]
    with closing(sqlite3.connect(tmp_path / CASSETTE)) as db, db:
        db.execute("""update answers set answer = replace(answer, '"favour":"none"', '"favour":"cars"')""")
        db.execute("""update answers set answer = replace(answer, '"cap_cents":100', '"cap_cents":1')""")
    assert len(check(tmp_path, PARTS[1:])) == 2
    other = [Part("one more", "quick", changes={"time.duration_hours": 2})]
    assert any("recorded was another" in line for line in check(tmp_path, other))
    (tmp_path / CARD).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        check(tmp_path, PARTS)


def test_the_command_records_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recording, "STANDARD", PARTS[1:])
    monkeypatch.setattr(recording.record, "__defaults__", (PARTS[1:], print))
    monkeypatch.setattr(recording.check, "__defaults__", (PARTS[1:],))
    folder = str(tmp_path / "recorded")
    assert cassette.main(["--standard", folder]) == 0
    assert "not a language model" in capsys.readouterr().out
    assert cassette.main(["--check", folder]) == 0
    assert "to the bit" in capsys.readouterr().out
    assert cassette.main(["--model", "x"]) == 2
    assert "--standard only" in capsys.readouterr().err
