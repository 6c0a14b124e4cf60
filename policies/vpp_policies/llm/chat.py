"""The one interface of a language model here: a question with a schema in, a validated object or an error out.

Adapters, wrappers, replay and scripted models all are `ChatModel`s, so that callers notice none of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError

from vpp_env.errors import VppError
from vpp_policies.llm.received import retry_after_s, tidy

T = TypeVar("T", bound=BaseModel)
CHARS_PER_TOKEN = 4.0
"""Characters of English and JSON per token, for estimates [assumed; providers name 4 as a rule of thumb]."""
TRANSIENT = frozenset({408, 409, 425, 429})
"""Status codes after which asking again makes sense, beside all from 500."""
MOST_TEXT = 200_000
"""Characters of an answer that are read; the longest form here takes some 10,000 [assumed]."""
_FENCE, _THOUGHT = "```", ("<think>", "</think>")


@dataclass(frozen=True)
class Usage:
    """Tokens of one or more calls."""

    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)


class ChatError(VppError):
    """Base: this question got no usable answer. Whoever asked falls back to rules."""


class Transient(ChatError):
    """It may work later: rate limit, server error, time-out, cut connection.

    Parameters
    ----------
    message : str
        What happened.
    retry_after : float, optional
        Seconds that the server asked to wait.
    maybe_billed : bool
        The answer was lost on the way: the provider may have charged for it.
    """

    def __init__(self, message: str, retry_after: float | None = None, maybe_billed: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.maybe_billed = maybe_billed


class Adapted(Transient):
    """The server refuses a parameter, which is left out or named otherwise from now on: ask again at once."""


class Permanent(ChatError):
    """Asking again in the same way is no use."""


class Denied(Permanent):
    """The server refuses to be asked: wrong key, no right, unknown model, request that it does not understand.

    Every other question would be refused alike; a run ends with it unless rules were asked to take over.
    """


class Refused(VppError):
    """A run cannot go on because its model's server refuses to be asked; the message has the server's words."""


class Blocked(ChatError):
    """The provider's safety filter kept the answer back."""


class Malformed(Permanent):
    """There is an answer, and it does not fit the schema; it can be asked to be repaired."""

    def __init__(self, message: str, text: str, usage: Usage, model: str) -> None:
        super().__init__(message)
        self.text, self.usage, self.model = text, usage, model


class CutOff(Permanent):
    """The answer ended at its limit of tokens: a reasoning model may have used them up before it said a word."""

    def __init__(self, message: str, text: str, usage: Usage, model: str) -> None:
        super().__init__(message)
        self.text, self.usage, self.model = text, usage, model


class BudgetSpent(Permanent):
    """The call would go beyond the budget; it was not made."""


class CircuitOpen(Transient):
    """The provider failed several times in a row; the call was not made."""


class CassetteMiss(VppError, LookupError):
    """A strict cassette has no answer. Not a `ChatError`: a replay must not turn into something else."""


@dataclass(frozen=True)
class Question:
    """One question; see `ChatModel.complete`."""

    system: str
    user: str
    schema: type[BaseModel]
    max_tokens: int

    @property
    def tokens(self) -> int:
        """Estimate of its tokens."""
        return tokens(self.system, self.user, schema_text(self.schema))


@dataclass(frozen=True)
class Reply:
    """One answer."""

    value: BaseModel  # an instance of the schema that was asked for
    usage: Usage
    model: str  # version that answered, as the provider names it
    text: str  # as it was sent
    replayed: bool = False  # from a cassette: nobody was asked


Outcome = Reply | ChatError
"""What became of a question."""


class ChatModel(Protocol):
    """Anything that answers."""

    provider: str
    model: str

    def complete(self, system: str, user: str, schema: type[BaseModel], max_tokens: int, timeout_s: float) -> Reply:
        """Answer `user` under the instructions `system` with one JSON object.

        Parameters
        ----------
        system, user : str
            Instructions (ours), and data (never instructions).
        schema : type[BaseModel]
            Flat model of integers, short enumerations, strings and lists of such models.
        max_tokens : int
            Most tokens of the answer.
        timeout_s : float
            Seconds to wait for it.

        Raises
        ------
        ChatError
            `Transient`, `Permanent`, `Blocked`, or `Malformed` when the answer does not fit the schema.
        """
        ...


def whole(low: int, high: int, description: str) -> Any:
    """Return a field for an integer within [low, high]: told to the model, and clipped by `clip`, not refused."""
    return Field(description=description, json_schema_extra={"minimum": low, "maximum": high})


def clip(value: T) -> tuple[T, int]:
    """Move the integers of `value` into their bounds; return it with the number of those that were outside."""
    changed: dict[str, Any] = {}
    count = 0
    for name, field in type(value).model_fields.items():
        item, extra = getattr(value, name), field.json_schema_extra
        inside: Any
        if isinstance(extra, dict) and "minimum" in extra and isinstance(item, int):
            low, high = int(str(extra["minimum"])), int(str(extra["maximum"]))
            inside = min(max(item, low), high)
        elif isinstance(item, tuple) and item and isinstance(item[0], BaseModel):
            pairs = [clip(part) for part in item]
            inside, more = tuple(part for part, _ in pairs), sum(n for _, n in pairs)
            count += more
            changed[name] = inside
            continue
        else:
            continue
        if inside != item:
            changed[name] = inside
            count += 1
    return (value.model_copy(update=changed) if changed else value), count


def read(schema: type[BaseModel], text: str, usage: Usage, model: str, cut: bool = False) -> Reply:
    """Validate an answer.

    A fence of Markdown around the object, and thoughts before it, are taken off; nothing else is guessed.

    Parameters
    ----------
    schema : type[BaseModel]
        What was asked for.
    text : str
        The answer.
    usage : Usage
        Its tokens.
    model : str
        Who answered, as the provider names it.
    cut : bool
        The provider says that it ended at the limit of tokens. An object that is whole nevertheless counts.

    Raises
    ------
    Malformed
        When it is no JSON object of the schema (types are strict: `"3"` and `3.5` are no integers), or too long.
    CutOff
        When it is none because it was cut off.
    """
    # half a surrogate pair is valid JSON and no text: neither a file nor a database takes it
    long, text = len(text), text[:MOST_TEXT].encode(errors="replace").decode()
    model = tidy(model, 100)
    try:
        if long > MOST_TEXT:
            raise Malformed(f"the answer has {long} characters; {MOST_TEXT} are read", text, usage, model)
        value = schema.model_validate_json(_bare(text), strict=True)
    except ValidationError as error:
        if cut:
            raise cut_off(text, usage, model) from error
        first = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'object'}: {e['msg']}" for e in error.errors()[:3])
        raise Malformed(f"the answer does not fit {schema.__name__}: {tidy(first)}", text, usage, model) from error
    return Reply(value, usage, model, text)


def _bare(text: str) -> str:
    """Return an answer without what is around it; without patterns, whose time an answer could choose."""
    bare = text.strip()
    if bare.startswith(_THOUGHT[0]) and _THOUGHT[1] in bare:
        bare = bare.partition(_THOUGHT[1])[2].strip()
    if bare.startswith(_FENCE) and bare.endswith(_FENCE) and len(bare) >= 2 * len(_FENCE):
        bare = bare[len(_FENCE) : -len(_FENCE)].removeprefix("json")
    return bare


def cut_off(text: str, usage: Usage, model: str) -> CutOff:
    """Return the error of an answer that ended at its limit."""
    remedy = "a reasoning model needs room for its thoughts: thinking=2000, or less of it (models.toml)"
    return CutOff(f"the answer was cut off after {usage.tokens_out} tokens; {remedy}", text, usage, tidy(model, 100))


def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """JSON schema without references: some servers and grammars follow none."""
    root = schema.model_json_schema()
    definitions = root.pop("$defs", {})

    def inline(node: Any) -> Any:
        if isinstance(node, list):
            return [inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inline(definitions[node["$ref"].rpartition("/")[2]])
        # a title repeats the name; a default would invite the model to leave the field out
        named = "properties" in node
        kept = {k: v for k, v in node.items() if k not in ("title", "default")}
        if named:
            kept["properties"] = {k: inline(v) for k, v in node["properties"].items()}
            kept["required"] = list(node["properties"])
        return {k: v if named and k == "properties" else inline(v) for k, v in kept.items()}

    return inline(root)


def tokens(*texts: str) -> int:
    """Estimate of the tokens of texts."""
    return round(sum(map(len, texts)) / CHARS_PER_TOKEN)


def schema_text(schema: type[BaseModel]) -> str:
    """Return the schema as compact JSON: what is sent, hashed and counted."""
    return json.dumps(json_schema(schema), separators=(",", ":"), ensure_ascii=False)


def failure(
    provider: str, status: int, retry_after: str | None = None, detail: object = "", secret: str | None = None
) -> ChatError:
    """Return the error of an HTTP status.

    Parameters
    ----------
    provider : str
        Who was asked.
    status : int
        The status.
    retry_after : str, optional
        That header.
    detail : object
        The server's words; a key in them is not shown.
    secret : str, optional
        The key that was sent.
    """
    words = tidy(detail, secret=secret) if detail else ""
    text = f"{provider}: HTTP {status}" + (f": {words}" if words else "")
    return (
        Transient(text, retry_after_s(retry_after)) if status in TRANSIENT or not 300 <= status < 500 else Denied(text)
    )
