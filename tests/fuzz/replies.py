"""What comes from language models, or is kept of them: replies, statements, cassettes, files of prices and keys."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import BaseModel
from vpp_policies.agentic import agentic
from vpp_policies.agentic.card import PreferenceCard, compile_cards
from vpp_policies.llm.chat import ChatError, Reply, clip, failure, read
from vpp_policies.llm.ledger import Decider, Ledger, Price
from vpp_policies.llm.openai_compatible import read_completion, said
from vpp_policies.llm.received import MOST_TOKENS, ODD, retry_after_s, tidy
from vpp_policies.llm.scripted import Scripted, read_statement
from vpp_policies.llm.settings import load_settings, secret

from tests.fuzz.harness import Attempt, Target, check_finite, one_line
from tests.fuzz.mutations import CELLS, TOML_VALUES, change_value, changed_bytes, changed_numbers, pick
from tests.fuzz.scenarios import SEED
from vpp_env.contract.views import Information
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

DAY = {"time.duration_hours": 2, "fleet.size": 4}


def changed_text(text: str, rng: np.random.Generator) -> str:
    """An answer of which something was changed."""
    kind = int(rng.integers(7))
    if kind <= 1:
        return changed_bytes(text.encode(), rng).decode(errors=pick(rng, ("replace", "surrogateescape")))
    if kind <= 4:
        data = json.loads(text)
        for _ in range(int(rng.integers(1, 3))):
            change_value(data, rng)
        return json.dumps(data)
    if kind == 5:
        return changed_numbers(text.encode(), rng, CELLS).decode()
    n = int(rng.integers(10, 100_000))
    return pick(
        rng, ["", "[" * n, "{" * n, '{"a":' * n, f"```json\n{text}\n```", f"<think>{text}", text + text, "9" * n]
    )


class Mutant:
    """A scripted model whose answers are changed, one in three."""

    provider, model = "mutant", "m-1"

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng, self._inner = rng, Scripted()

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        # what it is told to repair stands behind its question
        question = json.dumps(json.JSONDecoder().raw_decode(user)[0])
        reply = self._inner.complete(system, question, schema, max_tokens, timeout_s)
        if self._rng.random() < 2 / 3:
            return reply
        return read(schema, changed_text(reply.text, self._rng), reply.usage, pick(self._rng, CELLS))


def completion(text: str, rng: np.random.Generator) -> Any:
    """A server's body, of which something was changed."""
    body: Any = {
        "id": "x",
        "model": "m-1",
        "choices": [{"message": {"role": "assistant", "content": text, "refusal": None}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        "error": {"message": "no", "code": 3},
    }
    for _ in range(int(rng.integers(0, 4))):
        change_value(body, rng)
    return pick(rng, [body, body, body, body, [body], body.get("choices"), None, "x", 3])


def _replies(valid: Path) -> Attempt:
    month = Month(load_scenario("week20").override(DAY), SEED)
    world = World([month])
    world.reset()
    statements = [build_view(world, Information.DECLARED).statement(i) for i in range(4)]
    card = Scripted().complete("# card v1", json.dumps({"statement": statements[0]}), PreferenceCard, 700, 1.0).text

    def whole(rng: np.random.Generator) -> None:
        """A run in which a model answers."""
        mode = pick(rng, ("cards", "tools")) if rng.random() < 0.5 else "cards"
        run = simulate(month, agentic(brain="llm", llm=Mutant(rng), mode=mode, attempts=1))
        check_finite("totals", run.record.totals)
        check_finite("bill", run.record.opportunities()["notes_llm_usd"].to_numpy())

    def body(rng: np.random.Generator) -> None:
        """A server's body and headers."""
        data = completion(changed_text(card, rng), rng)
        error: str | None = None
        try:
            reply = read_completion("openai", "m", data, PreferenceCard, 10)
            assert all(isinstance(v, int) and ODD <= v <= 2 * MOST_TOKENS for v in vars(reply.usage).values())
            assert one_line(reply.model or "-")
            clipped, _ = clip(reply.value)
            json.dumps(clipped.model_dump(), allow_nan=False).encode()
        except ChatError as caught:
            error = str(caught)
        assert error is None or one_line(error)
        words, code = said(data)
        assert one_line(str(failure("openai", int(rng.integers(100, 600)), pick(rng, CELLS), words + code)))
        wait = retry_after_s(changed_bytes(pick(rng, [b"30", b"Wed, 21 Oct 2026 07:28:00 GMT"]), rng).decode("latin-1"))
        assert wait is None or (math.isfinite(wait) and wait >= 0)
        assert len(tidy(words)) < 2000

    def statement(rng: np.random.Generator) -> None:
        """Words of an owner, to the reader that needs no model and to cards."""
        texts = [changed_bytes(pick(rng, statements).encode(), rng).decode(errors="replace") for _ in range(3)]
        texts[0] = (
            changed_numbers(texts[0].encode(), rng, CELLS).decode() if any(c.isdigit() for c in texts[0]) else "x"
        )
        texts[1] = texts[1] * int(rng.integers(1, 40))
        for text in texts:
            json.dumps(read_statement(text), allow_nan=False)
        for compiled in compile_cards(Scripted(), Decider(Ledger(Price())), texts):
            json.dumps(compiled.card.model_dump(), allow_nan=False)

    ways: tuple[Callable[[np.random.Generator], None], ...] = (whole, body, statement)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        pick(rng, ways)(rng)

    return attempt


def _cassettes(valid: Path) -> Attempt:
    month = Month(load_scenario("week20").override(DAY), SEED)
    tape = valid / "tape.sqlite"
    simulate(month, agentic(brain="llm", llm="scripted", cassette=str(tape)))
    models = Path("policies/vpp_policies/llm/models.toml").resolve().read_bytes()

    def edited(file: Path, rng: np.random.Generator) -> None:
        """Change a cell, or the schema, of the database."""
        odd = (None, "", "x", -1, 2**62, 1e308, b"\xff\x00", "nan", "\x1b[31m", "9" * 999, '{"cents": 5}', 0)
        with sqlite3.connect(file) as db:
            for _ in range(int(rng.integers(1, 4))):
                table = pick(rng, ("meta", "answers", "answers", "failures"))
                columns = [row[1] for row in db.execute(f"pragma table_info({table})")]
                kind = rng.integers(8)
                try:
                    if kind == 0:
                        db.execute(f"drop table {table}")
                    elif kind == 1:
                        db.execute(f"alter table {table} drop column {pick(rng, columns)}")
                    elif kind == 2:
                        db.execute(f"delete from {table}")
                    elif table == "meta":
                        names = ("format", "provider", "model", "usd_per_mtok_in", "usd_per_mtok_out", "thinking")
                        db.execute("insert or replace into meta values (?, ?)", (pick(rng, names), pick(rng, odd)))
                    else:
                        db.execute(f"update {table} set {pick(rng, columns)} = ?", (pick(rng, odd),))
                except (sqlite3.Error, ValueError):  # the schema does not let it
                    continue
        db.close()

    def replay(rng: np.random.Generator) -> None:
        file = Path(shutil.copy(tape, "tape.sqlite"))
        if rng.random() < 0.4:
            file.write_bytes(changed_bytes(file.read_bytes(), rng))
        else:
            edited(file, rng)
        run = simulate(month, agentic(brain="llm", cassette=str(file), strict=bool(rng.random() < 0.7)))
        check_finite("totals", run.record.totals)
        rows = run.record.opportunities()
        for name in ("notes_llm_usd", "notes_llm_tokens_in", "notes_llm_tokens_out"):
            check_finite(name, rows[name].to_numpy())

    def settings(rng: np.random.Generator) -> None:
        table = tomllib.loads(models.decode())
        provider = pick(rng, list(table))
        if rng.random() < 0.4:
            made = changed_bytes(models, rng)
        elif rng.random() < 0.5:
            del table[provider]["keys"]
            line = f"[{provider}]\n{pick(rng, list(table[provider]))} = {pick(rng, TOML_VALUES)}\n"
            made = (line + f"keys = {pick(rng, TOML_VALUES)}\n").encode()
        else:
            key = pick(rng, list(table[provider]))
            del table[provider][key]
            line = f"[{provider}]\n{key} = {pick(rng, TOML_VALUES)}\n"
            made = tomli_w.dumps(table).replace(f"[{provider}]\n", line, 1).encode()
        Path("models.toml").write_bytes(made)
        Path(".env").write_bytes(changed_bytes(b"export OPENAI_API_KEY='abc'\n# no\nGEMINI_API_KEY=def\n", rng))
        settings = load_settings(provider, "models.toml", pick(rng, ("", "x", "gpt-6-luna")))
        check_finite("prices", [settings.price.tokens_in, settings.price.tokens_out])
        assert settings.concurrency >= 1
        assert settings.requests_per_minute >= 0
        secret(settings.keys, required=bool(rng.random() < 0.5))

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        (replay if rng.random() < 0.6 else settings)(rng)

    return attempt


REPLIES = Target(
    "models' replies, owners' statements", "bytes, values, forms, bodies of servers; played", _replies, weight=15
)
CASSETTES = Target("cassettes, models.toml, .env", "bytes, tables, cells, values; replayed", _cassettes, quick=12)
