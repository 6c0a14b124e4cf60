"""Cassettes: what was recorded is replayed, to the byte, and nothing else is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from vpp_policies.llm.cassette import Recorded, Replay, Tape, key_of
from vpp_policies.llm.chat import (
    CassetteMiss,
    Malformed,
    Permanent,
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
