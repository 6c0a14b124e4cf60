"""What can go wrong between a question and its answer; the same classes for every provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_env.errors import VppError

if TYPE_CHECKING:
    from vpp_policies.llm.chat import Usage


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


class Permanent(ChatError):
    """Asking again in the same way is no use: wrong key, unknown model, request refused as malformed."""


class Blocked(ChatError):
    """The provider's safety filter kept the answer back."""


class Malformed(Permanent):
    """There is an answer, and it does not fit the schema; it can be asked to be repaired."""

    def __init__(self, message: str, text: str, usage: Usage, model: str) -> None:
        super().__init__(message)
        self.text, self.usage, self.model = text, usage, model


class BudgetSpent(Permanent):
    """The call would go beyond the budget; it was not made."""


class CircuitOpen(Transient):
    """The provider failed several times in a row; the call was not made."""


class CassetteMiss(VppError, LookupError):
    """A strict cassette has no answer. Not a `ChatError`: a replay must not turn into something else."""
