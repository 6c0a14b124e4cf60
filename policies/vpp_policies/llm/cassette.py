"""A cassette: questions and answers of a run in one SQLite file, to be played again without anybody being asked.

The key is the SHA-256 of provider, model, instructions, data, schema, parameters and prompt version; the answer is kept
as it was sent and validated again at every replay. No key, header or address of a provider is in it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

from pydantic import BaseModel

from vpp_env.errors import DataError
from vpp_policies.llm.chat import CassetteMiss, ChatModel, Malformed, Permanent, Reply, Usage, read, schema_text
from vpp_policies.llm.prompts import version_of

FORMAT = "1"
_TABLES = """
create table if not exists meta (name text primary key, value text not null);
create table if not exists answers (
  key text primary key, prompt text not null, question text not null, answer text not null,
  model text not null, tokens_in integer not null, tokens_out integer not null
) without rowid;
"""


def key_of(provider: str, model: str, system: str, user: str, schema: type[BaseModel], max_tokens: int) -> str:
    """SHA-256 of everything that an answer depends on (the temperature is 0 everywhere)."""
    parts = [provider, model, system, user, schema_text(schema), f"max_tokens={max_tokens},temperature=0"]
    return hashlib.sha256(json.dumps([*parts, version_of(system)], ensure_ascii=False).encode()).hexdigest()


class Tape:
    """The file. Opened for reading only unless `record`: a shipped cassette is never written to."""

    def __init__(self, path: Path, record: bool) -> None:
        if record:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.executescript(_TABLES)
        elif path.is_file():
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        else:
            raise DataError(f"cassette {str(path)!r} does not exist; record one with cassette='{path}' and a model")
        try:
            self.meta: dict[str, str] = dict(self._db.execute("select name, value from meta order by name"))
        except sqlite3.DatabaseError as error:
            raise DataError(f"cassette {str(path)!r} cannot be read: {error}; is it an SQLite file?") from error
        if not record and self.meta.get("format") != FORMAT:
            raise DataError(f"cassette {str(path)!r} has format {self.meta.get('format')}; allowed is {FORMAT}")

    def describe(self, **meta: str) -> None:
        """Write what the cassette is: provider, model, how it was made."""
        rows = {"format": FORMAT, **meta}
        self._db.executemany("insert or replace into meta values (?, ?)", sorted(rows.items()))
        self.meta |= rows

    def find(self, key: str) -> tuple[str, str, Usage] | None:
        """Answer, model version and usage, or None."""
        row = self._db.execute(
            "select answer, model, tokens_in, tokens_out from answers where key = ?", (key,)
        ).fetchone()
        return None if row is None else (row[0], row[1], Usage(row[2], row[3]))

    def write(self, key: str, system: str, user: str, answer: str, model: str, usage: Usage) -> None:
        """Write one answer, at once."""
        row = (key, version_of(system), user, answer, model, usage.tokens_in, usage.tokens_out)
        self._db.execute("insert or replace into answers values (?, ?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Recorded:
    """Answer from the tape, else ask `inner` and write the answer down, also one that does not fit its schema."""

    def __init__(self, inner: ChatModel, tape: Tape) -> None:
        self.provider, self.model = inner.provider, inner.model
        self._inner, self._tape = inner, tape

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Look first, ask then."""
        key = key_of(self.provider, self.model, system, user, schema, max_tokens)
        found = self._tape.find(key)
        if found is not None:
            return _replayed(schema, found)
        try:
            reply = self._inner.complete(system, user, schema, max_tokens, timeout_s)
        except Malformed as error:
            self._tape.write(key, system, user, error.text, error.model, error.usage)
            raise
        self._tape.write(key, system, user, reply.text, reply.model, reply.usage)
        return reply


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
        found = self._tape.find(key_of(self.provider, self.model, system, user, schema, max_tokens))
        if found is None:
            text = (
                f"not on the cassette ({self.provider}, {self.model}, prompt {version_of(system)}): {user[:120]!r}...; "
                "a cassette fits one scenario, seed, prompt version and code: record it again"
            )
            raise CassetteMiss(f"{text}, or take strict=False") if self._strict else Permanent(text)
        return _replayed(schema, found)


def _replayed(schema: type[BaseModel], found: tuple[str, str, Usage]) -> Reply:
    text, model, usage = found
    reply = read(schema, text, usage, model)
    return Reply(reply.value, usage, model, text, replayed=True)
