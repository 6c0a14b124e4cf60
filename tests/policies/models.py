"""A model for tests, and months played with one."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from support import month
from vpp_policies.agentic import agentic
from vpp_policies.llm.chat import Reply, Usage, read
from vpp_policies.llm.prompts import version_of
from vpp_policies.llm.scripted import Scripted

from vpp_env.evaluation.simulate import Run, simulate

SHORT = {"time.duration_hours": 24}


class Fake:
    """A model that answers by the prompt's name; a value that is an error is raised. Keeps what it was asked."""

    provider, model = "fake", "f-1"

    def __init__(self, **answers: Any) -> None:
        self._answers, self.asked = answers, list[tuple[str, str]]()
        self._else = Scripted()

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        name = version_of(system).partition(" ")[0]
        self.asked.append((name, user))
        answer = self._answers.get(name)
        if answer is None:
            return self._else.complete(system, user, schema, max_tokens, timeout_s)
        if isinstance(answer, Exception):
            raise answer
        made = answer(json.loads(user)) if callable(answer) else answer
        return read(schema, made if isinstance(made, str) else json.dumps(made), Usage(10, 5), self.model)


def played(model: Any, name: str = "week20", changes: dict[str, Any] | None = None, **options: Any) -> Run:
    return simulate(month(name, SHORT if changes is None else changes), agentic(brain="llm", llm=model, **options))


def total(run: Run, name: str) -> float:
    return float(run.record.opportunities()[f"notes_llm_{name}"].sum())
