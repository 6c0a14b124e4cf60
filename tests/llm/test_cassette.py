"""Cassettes: what was recorded is replayed, to the byte, and nothing else is."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from vpp_policies.llm.cassette import Recorded, Replay, Tape, key_of
from vpp_policies.llm.chat import (
    Blocked,
    BudgetSpent,
    CassetteMiss,
    ChatError,
    CircuitOpen,
    CutOff,
    Denied,
    Malformed,
    Permanent,
    Transient,
    Usage,
)

from tests.llm.forms import GOOD, SYSTEM, Form, Part, Says, ask
from vpp_env.errors import DataError


def test_cassette_replays_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "some" / "tape.sqlite"
    model = Says(GOOD, "no json", '{"cents": 7, "parts": []}')
    tape = Tape(path, record=True)
    tape.describe(provider=model.provider, model=model.model)
    recorded = Recorded(model, tape)
    first = ask(recorded, "a")
    with pytest.raises(Malformed):
        ask(recorded, "b")
    assert ask(recorded, "a").replayed  # asked once only
    assert len(model.asked) == 2
    tape.close()
    before = path.read_bytes()
    again = Replay(Tape(path, record=False))
    reply = ask(again, "a")
    assert (reply.value, reply.usage, reply.model, reply.replayed) == (first.value, first.usage, first.model, True)
    with pytest.raises(Malformed):
        ask(again, "b")
    with pytest.raises(CassetteMiss, match="record it again"):
        ask(again, "c")
    with pytest.raises(Permanent):
        ask(Replay(Tape(path, record=False), strict=False), "c")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_replay_takes_the_course_of_the_run_with_its_failures(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    errors = [
        Blocked("no"), CutOff("long", "{", Usage(7, 50), "m"), Transient("later", 3.0, maybe_billed=True),
        CircuitOpen("open"), Permanent("odd"), Denied("HTTP 400"), BudgetSpent("poor"),
    ]  # fmt: skip
    model = Says(*errors, GOOD)
    tape = Tape(path, record=True)
    tape.describe(provider=model.provider, model=model.model)
    recorded = Recorded(model, tape)
    for i, error in enumerate(errors):
        with pytest.raises(type(error)):
            ask(recorded, str(i))
    tape.close()
    replay = Replay(Tape(path, record=False))
    for i, cls in enumerate((Blocked, CutOff, Transient, CircuitOpen, Permanent, Permanent)):
        with pytest.raises(ChatError) as caught:
            ask(replay, str(i))
        assert type(caught.value) is cls
    with pytest.raises(CassetteMiss):
        ask(replay, "6")  # a budget is the replay's own
    again = Tape(path, record=True)
    assert ask(Recorded(model, again), "0").text == GOOD  # recording asks what had failed
    again.close()
    assert ask(Replay(Tape(path, record=False)), "0").replayed


def test_a_cassette_has_one_model(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "t.sqlite", record=True)
    tape.describe(provider="p", model="m")
    tape.close()
    again = Tape(tmp_path / "t.sqlite", record=True)
    again.describe(provider="p", model="m")
    with pytest.raises(DataError, match="record into another file"):
        again.describe(provider="p", model="other")


def played(path: Path) -> str:
    """Read a whole cassette; the words of the error that it is refused with."""
    try:
        tape = Tape(path, record=False)
        tape.number("usd_per_mtok_in")
        tape.failed("k")
        for i in range(40):
            with suppress(CassetteMiss, ChatError):
                ask(Replay(tape), str(i))
    except DataError as error:
        return str(error)
    return ""


def test_no_damage_of_a_cassette_is_a_traceback(tmp_path: Path) -> None:
    """Bytes changed, cut and added; values of other kinds: an answer, or an error that names the file."""
    rng = np.random.default_rng(7)
    whole = tmp_path / "whole.sqlite"
    tape = Tape(whole, record=True)
    tape.describe(provider="said", model="s-1")
    recorded = Recorded(Says(GOOD), tape)
    for i in range(40):
        ask(recorded, str(i))
    tape.close()
    data, refused = whole.read_bytes(), 0
    for k in range(300):
        bad = bytearray(data)
        for at in rng.integers(0, len(bad), 1 + k % 40):
            bad[at] = rng.integers(0, 256)
        path = tmp_path / "bad.sqlite"
        path.write_bytes(bytes(bad[: rng.integers(1, len(bad))] if k % 5 == 0 else bad))
        words = played(path)
        refused += bool(words)
        assert not words or "bad.sqlite" in words
    assert refused > 100
    for change, words in (
        ("update answers set tokens_in = 'many'", "damaged"),
        ("update answers set answer = x'00ff'", "damaged"),
        ("delete from meta where name = 'provider'", "provider"),
        ("insert into meta values ('usd_per_mtok_in', '-1')", "usd_per_mtok_in"),
        ("insert into meta values ('usd_per_mtok_in', 'nan')", "usd_per_mtok_in"),
        ("drop table answers", "no such table"),
        ("insert into failures values ('k', 'sabotage', '', 0, 0)", "sabotage"),
    ):
        path = tmp_path / "odd.sqlite"
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(change)
        assert words in played(path)


def test_the_key_is_made_of_everything() -> None:
    base = ("p", "m", SYSTEM, "u", Form, 50)
    keys = {key_of(*base)}  # type: ignore[arg-type]
    others = [
        ("q", "m", SYSTEM, "u", Form, 50),
        ("p", "n", SYSTEM, "u", Form, 50),
        ("p", "m", SYSTEM.replace("v1", "v2"), "u", Form, 50),
        ("p", "m", SYSTEM + "!", "u", Form, 50),
        ("p", "m", SYSTEM, "v", Form, 50),
        ("p", "m", SYSTEM, "u", Part, 50),
        ("p", "m", SYSTEM, "u", Form, 51),
    ]
    keys |= {key_of(*o) for o in others}  # type: ignore[arg-type]
    assert len(keys) == len(others) + 1


def test_a_broken_cassette_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Tape(tmp_path / "none.sqlite", record=False)
    text = tmp_path / "text.sqlite"
    text.write_text("hello, this is no database at all, whatever its name says")
    with pytest.raises(DataError, match="cannot be read"):
        Tape(text, record=False)
    old = tmp_path / "old.sqlite"
    with sqlite3.connect(old) as db:
        db.execute("create table meta (name text, value text)")
    with pytest.raises(DataError, match="format None"):
        Tape(old, record=False)
    with pytest.raises(DataError, match="not a database"):
        Tape(text, record=True)
