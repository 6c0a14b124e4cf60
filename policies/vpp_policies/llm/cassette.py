"""A cassette: questions and answers of a run in one SQLite file, to be played again without anybody being asked.

The key is the SHA-256 of provider, model, instructions, data, schema, parameters and prompt version; the answer is kept
as it was sent and validated again at every replay. What got no answer is kept too, with its class of error: a replay
takes the course of the run that was recorded, and recording into the same file asks it again. No key, header or address
of a provider is in it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from vpp_env.errors import DataError
from vpp_policies.llm.chat import (
    Blocked,
    CassetteMiss,
    ChatError,
    ChatModel,
    CircuitOpen,
    CutOff,
    Denied,
    Malformed,
    Outcome,
    Permanent,
    Question,
    Reply,
    Transient,
    Usage,
    read,
    schema_text,
)
from vpp_policies.llm.layer import Layer
from vpp_policies.llm.prompts import version_of
from vpp_policies.llm.received import tidy

FORMAT = "1"
_TABLES = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists answers (
  key text primary key, prompt text not null, question text not null, answer text not null,
  model text not null, tokens_in integer not null, tokens_out integer not null
) without rowid;
create table if not exists failures (
  key text primary key, kind text not null, message text not null, tokens_in integer not null,
  tokens_out integer not null
) without rowid;
"""
KEPT: dict[str, type[ChatError]] = {
    "cut_off": CutOff, "blocked": Blocked, "circuit": CircuitOpen, "transient": Transient, "permanent": Permanent,
}  # fmt: skip
"""Errors that are kept. A call that was not made for want of budget is not among them."""


def key_of(provider: str, model: str, system: str, user: str, schema: type[BaseModel], max_tokens: int) -> str:
    """SHA-256 of everything that an answer depends on (the temperature is 0 everywhere)."""
    parts = [provider, model, system, user, schema_text(schema), f"max_tokens={max_tokens},temperature=0"]
    return hashlib.sha256(json.dumps([*parts, version_of(system)], ensure_ascii=False).encode()).hexdigest()


def _kept(error: ChatError) -> str | None:
    """Kind under which the error is kept; None where it is not (subclasses are not their parents)."""
    cls = Permanent if type(error) is Denied else type(error)
    return next((kind for kind, known in KEPT.items() if known is cls), None)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say which file it is that SQLite cannot read or write."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise DataError(f"cassette {str(path)!r} cannot be read or written: {error}; record another one") from error


class Tape:
    """The file. Opened for reading only unless `record`: a shipped cassette is never written to.

    Raises
    ------
    DataError
        When the file is missing, damaged, or no cassette; also later, where a row turns out to be damaged.
    """

    def __init__(self, path: Path, record: bool) -> None:
        self.path = path
        with _readable(path):
            if record:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path, isolation_level=None)
                self._db.executescript(_TABLES)
            elif path.is_file():
                self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            else:
                raise DataError(f"cassette {str(path)!r} does not exist; record one with cassette='{path}' and a model")
            rows = self._db.execute("select name, value from meta order by name")
            self.meta: dict[str, str] = {str(name): str(value) for name, value in rows}
            # a cassette of an older version has no failures
            self._fails = bool(self._db.execute("select 1 from sqlite_master where name = 'failures'").fetchone())
        if (self.meta or not record) and self.meta.get("format") != FORMAT:
            raise DataError(f"cassette {str(path)!r} has format {self.meta.get('format')}; allowed is {FORMAT}")
        for name in () if record else ("provider", "model"):
            if not self.meta.get(name):
                raise DataError(f"cassette {str(path)!r} does not say its {name}; record another one")

    def number(self, name: str) -> float:
        """Return a number that describes the cassette; 0 where it says none.

        Raises
        ------
        DataError
            When it is no finite number from 0.
        """
        text = self.meta.get(name, "0")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0.0 <= value < float("inf"):
            raise DataError(f"cassette {str(self.path)!r}: {name} is {text!r}; allowed is a number from 0")
        return value

    def describe(self, **meta: str) -> None:
        """Write what the cassette is: provider, model, how it was made.

        Raises
        ------
        DataError
            When it holds the answers of somebody else.
        """
        for name in ("provider", "model"):
            if self.meta.get(name, meta[name]) != meta[name]:
                raise DataError(
                    f"cassette {str(self.path)!r} was recorded with {name} {self.meta[name]!r}, got {meta[name]!r}; "
                    "record into another file"
                )
        rows = {"format": FORMAT, **meta}
        with _readable(self.path):
            self._db.executemany("insert or replace into meta values (?, ?)", sorted(rows.items()))
        self.meta |= rows

    def find(self, key: str) -> tuple[str, str, Usage] | None:
        """Answer, model version and usage, or None."""
        row = self._row("select answer, model, tokens_in, tokens_out from answers where key = ?", key)
        return None if row is None else (row[0], row[1], Usage(row[2], row[3]))

    def failed(self, key: str) -> ChatError | None:
        """Return what was kept instead of an answer, or None."""
        if not self._fails:
            return None
        row = self._row("select message, kind, tokens_in, tokens_out from failures where key = ?", key)
        if row is None:
            return None
        message, kind, asked, answered = row
        if kind not in KEPT:
            raise DataError(f"cassette {str(self.path)!r}: failure {kind!r}; allowed are {', '.join(KEPT)}")
        return CutOff(message, "", Usage(asked, answered), "") if kind == "cut_off" else KEPT[kind](message)

    def _row(self, query: str, key: str) -> tuple[str, str, int, int] | None:
        """Two texts and two counts."""
        with _readable(self.path):
            row = self._db.execute(query, (key,)).fetchone()
        if row is not None and not all(map(isinstance, row, (str, str, int, int))):
            raise DataError(f"cassette {str(self.path)!r}: the row of {key} is damaged; record another one")
        return row

    def write(self, rows: Iterable[tuple[str, Question, Outcome]]) -> None:
        """Write keys, questions and what became of them, all or none; an answer takes the place of a failure."""
        with _readable(self.path):
            self._db.execute("begin")
            self._write(rows)
            self._db.execute("commit")

    def _write(self, rows: Iterable[tuple[str, Question, Outcome]]) -> None:
        for key, q, outcome in rows:
            if isinstance(outcome, Reply | Malformed):
                used = outcome.usage
                row = (key, version_of(q.system), q.user, outcome.text, outcome.model, used.tokens_in, used.tokens_out)
                self._db.execute("insert or replace into answers values (?, ?, ?, ?, ?, ?, ?)", row)
                self._db.execute("delete from failures where key = ?", (key,))
            elif (kind := _kept(outcome)) is not None:
                used = outcome.usage if isinstance(outcome, CutOff) else Usage()
                failed = (key, kind, tidy(outcome), used.tokens_in, used.tokens_out)
                self._db.execute("insert or replace into failures values (?, ?, ?, ?, ?)", failed)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Recorded(Layer):
    """Answer from the tape, else ask `inner` and write the answer down, also one that does not fit its schema.

    The same question twice in a batch is asked once.
    """

    def __init__(self, inner: ChatModel | Layer, tape: Tape) -> None:
        super().__init__(inner)
        self._tape = tape

    def answer(self, questions: Sequence[Question], timeout_s: float) -> list[Outcome]:
        """Look first, ask then; written in the order of the questions."""
        keys = [_key(self, q) for q in questions]
        asked: dict[str, Question] = {}
        for key, q in zip(keys, questions, strict=True):
            if key not in asked and self._tape.find(key) is None:
                asked[key] = q
        got = dict(zip(asked, self._inner.answer(list(asked.values()), timeout_s) if asked else [], strict=True))
        self._tape.write((key, asked[key], outcome) for key, outcome in got.items())
        out: list[Outcome] = []
        for key, q in zip(keys, questions, strict=True):
            # whoever asked first has the answer itself; who asked the same has it from the tape
            outcome = got.pop(key, None)
            if outcome is None:
                found = self._tape.find(key)
                assert found is not None, "what was not asked is on the tape"
                outcome = _replayed(q.schema, found)
            elif isinstance(outcome, ChatError) and not isinstance(outcome, Malformed):
                got[key] = outcome
            out.append(outcome)
        return out


class Replay:
    """Answer from the tape only.

    Parameters
    ----------
    tape : Tape
        What was recorded; provider and model are its own.
    strict : bool
        A question that is not on the tape raises `CassetteMiss`; otherwise it is `Permanent`, and rules decide.
    """

    def __init__(self, tape: Tape, strict: bool = True) -> None:
        self.provider, self.model = tape.meta["provider"], tape.meta["model"]
        self._tape, self._strict = tape, strict

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Look the answer up."""
        key = key_of(self.provider, self.model, system, user, schema, max_tokens)
        found = self._tape.find(key)
        if found is not None:
            outcome = _replayed(schema, found)
            if isinstance(outcome, ChatError):
                raise outcome
            return outcome
        failed = self._tape.failed(key)
        if failed is not None:
            raise failed
        text = (
            f"not on the cassette ({self.provider}, {self.model}, prompt {version_of(system)}): {user[:120]!r}...; "
            "a cassette fits one scenario, seed, prompt version and code: record it again"
        )
        raise CassetteMiss(f"{text}, or take strict=False") if self._strict else Permanent(text)


def _key(model: ChatModel, q: Question) -> str:
    return key_of(model.provider, model.model, q.system, q.user, q.schema, q.max_tokens)


def _replayed(schema: type[BaseModel], found: tuple[str, str, Usage]) -> Outcome:
    text, model, usage = found
    try:
        reply = read(schema, text, usage, model)
    except Malformed as error:
        return error
    return Reply(reply.value, usage, model, text, replayed=True)
