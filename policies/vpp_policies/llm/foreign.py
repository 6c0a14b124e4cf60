"""What other people's libraries bring: models of theirs, errors of theirs, and no limits of ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from vpp_env.contract.named import named, returned
from vpp_env.errors import PolicyError
from vpp_policies.llm.chat import Blocked, ChatError, ChatModel, Transient, failure
from vpp_policies.llm.received import tidy
from vpp_policies.llm.threads import in_time

R = TypeVar("R")
GRACE_S = 1.0
"""Seconds after its own time-out in which a library may say so itself."""


def ask(provider: str, do: Callable[[], R], timeout_s: float) -> R:
    """Return what a library's call returns, in time, with its errors turned into ours.

    Raises
    ------
    ChatError
        Whatever was raised, by its status where it has one. What has none is taken for an answer that the library
        tripped over: `Transient`, and perhaps billed.
    """
    try:
        return in_time(do, timeout_s + GRACE_S)
    except Exception as error:
        raise _error(provider, error, timeout_s) from error


def _error(provider: str, error: Exception, timeout_s: float) -> ChatError:
    if isinstance(error, ChatError):
        return error
    response = getattr(error, "response", None)
    codes = [getattr(error, n, None) for n in ("status_code", "code", "http_status")]
    codes.append(getattr(response, "status_code", None))
    status = next((c for c in codes if isinstance(c, int) and not isinstance(c, bool) and 300 <= c < 600), None)
    name = type(error).__name__
    if "ContentPolicy" in name or "content_filter" in str(error)[:2000]:
        return Blocked(f"{provider}: question blocked")
    if isinstance(error, TimeoutError):
        return Transient(f"{provider}: no whole answer in {timeout_s:g} s", maybe_billed=True)
    if status is not None:
        headers: Any = getattr(response, "headers", None)
        after = headers.get("retry-after") if hasattr(headers, "get") else None
        return failure(provider, status, str(after) if after is not None else None, error)
    return Transient(f"{provider}: {name}: {tidy(error)}", maybe_billed="Connect" not in name)


def is_langchain(found: object) -> bool:
    """Whether it is a chat model of LangChain, or a class of them; the library need not be installed."""
    classes = found.__mro__ if isinstance(found, type) else type(found).__mro__
    return any(c.__name__ == "BaseChatModel" and c.__module__.startswith("langchain_core.") for c in classes)


def named_model(name: str) -> ChatModel:
    """Return the model that `module:name` names: an object, a class, or a function that says that it returns one.

    Nothing is called that does not declare itself a model: a name in a results folder is data.

    Raises
    ------
    UnknownNameError
        When it cannot be imported.
    PolicyError
        When it is no model, or cannot be built.
    """
    made = found = named(name, "llm")
    if isinstance(found, type) or inspect.isfunction(found):
        if not _is_model(found if isinstance(found, type) else returned(found)):
            kind = f"the class {found.__qualname__}" if isinstance(found, type) else "a function without such a return"
            raise PolicyError(
                f"llm {name!r} is no model: it is {kind}; allowed is a ChatModel, a chat model of LangChain, a class "
                "of either, or a function that says so: `def make() -> BaseChatModel:`. Nothing of it was called"
            )
        try:
            made = found()
        except (TypeError, ValueError) as error:
            raise PolicyError(f"llm {name!r} cannot be built: {tidy(error)}") from error
    if is_langchain(made):
        from vpp_policies.llm.langchain import LangChain

        return LangChain(made)
    if not _is_model(made):
        raise PolicyError(f"llm {name!r} is no model: it is a {type(made).__name__}; nothing of it was called")
    return made


def _is_model(found: object) -> bool:
    return is_langchain(found) or callable(getattr(found, "complete", None))
