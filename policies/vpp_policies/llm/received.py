"""What a server sends beside an answer, made safe: its words, its counts of tokens, its Retry-After."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vpp_env.errors import printable

WORDS = 300
"""Characters of a server's own words that are shown."""
MOST_TOKENS = 10**12
"""Tokens of one call that are believed."""
ODD = -1
"""Number of tokens where a server names one that is none: whoever keeps the ledger puts an estimate in its place."""
_KEYS = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|xai|hf)[-_]\S{8,}|\bAIza\S{8,}|\b(?:bearer\s+|(?:key|token)\s*[=:]\s*)\S{8,}"
)
"""What looks like a key in a server's words: prefixes that providers use, and what follows `Bearer` or `key=`."""


def counted(value: Any, estimate: int) -> int:
    """Return a number of tokens as a server names it: the estimate where it names none, `ODD` where it is no number."""
    if value is None:
        return estimate
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_TOKENS:  # NaN neither
        return ODD
    return int(value)


def tidy(text: object, most: int = WORDS, secret: str | None = None) -> str:
    """Return a stranger's words in one line: no control characters, no keys, at most `most` characters."""
    words = str(text)[: 20 * most]
    if secret:
        words = words.replace(secret, "[key]")
    words = _KEYS.sub("[key]", printable(words, " "))
    return words if len(words) <= most else words[: most - 3] + "..."


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date. None where it is neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
        return None if math.isnan(seconds) else max(0.0, seconds)
    except ValueError:
        pass
    try:
        then = parsedate_to_datetime(header)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
