"""How long to wait before a request is tried again."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
RETRIED = frozenset({408, 409, 425, 429})
"""Besides these all 5xx are tried again."""


def is_retried(status: int) -> bool:
    """Whether a request that got this HTTP status may succeed when it is sent again."""
    return status in RETRIED or status >= 500


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds a server asks to wait, from `Retry-After-Ms`, or `Retry-After` in seconds or as a date.

    Args:
        headers (`Mapping[str, str]`): looked up without regard to case if the mapping does.
        now (`float`, *optional*): the time, in seconds since the epoch; the clock's if omitted.

    Returns:
        `float`: at least 0, or None where the server does not say, or says what cannot be understood.
    """
    try:
        if value := headers.get("Retry-After-Ms"):
            return max(0.0, float(value) / 1000)
        if not (value := headers.get("Retry-After")):
            return None
    except ValueError:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None


def wait_before(attempt: int, asked: float | None) -> float:
    """Seconds before try number `attempt + 2`: what was asked for, or doubled each time; with jitter, so that requests
    refused together do not come back together."""
    if asked is not None:
        return asked + random.uniform(0, 0.1 * asked + 0.05)
    return min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1)
