"""HTTP status to our errors, once for all providers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from vpp_policies.llm.errors import ChatError, Permanent, Transient

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""Status codes after which asking again makes sense."""


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date. None where it is neither."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds())


def failure(provider: str, status: int, retry_after: str | None = None, detail: str = "") -> ChatError:
    """Return the error of an HTTP status. `detail` is the server's message; addresses and keys are never in it."""
    text = f"{provider}: HTTP {status}" + (f": {detail[:200]}" if detail else "")
    return Transient(text, retry_after_s(retry_after)) if status in TRANSIENT else Permanent(text)
