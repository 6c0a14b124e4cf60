"""A small schema, and a model that says what it is given to say."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from vpp_policies.llm.chat import (
    Reply,
    Usage,
    read,
    whole,
)

SYSTEM = "# form v1\n\nFill in."


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    wh: int = whole(0, 100, "energy")


class Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    cents: int = whole(-1, 50, "price")
    parts: tuple[Part, ...] = ()


GOOD = '{"cents": 5, "parts": []}'


class Says:
    """Say the texts, or raise the errors, one after the other; the last again and again."""

    provider, model = "said", "s-1"

    def __init__(self, *script: str | Exception, usage: Usage | None = None) -> None:
        self.script, self.usage, self.asked = list(script), usage or Usage(100, 20), list[str]()

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        step = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append(user)
        if isinstance(step, Exception):
            raise step
        return read(schema, step, self.usage, self.model)


def ask(model: object, user: str = "x") -> Reply:
    return model.complete(SYSTEM, user, Form, 50, 1.0)  # type: ignore[attr-defined]
