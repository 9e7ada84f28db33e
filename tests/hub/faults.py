"""What can go wrong between a client and the Hub, on purpose."""

import re
import threading
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Fault:
    """One thing that goes wrong, `times` times, with the requests that fit.

    Args:
        kind (`str`): `"status"` answers `status` and does nothing; `"cut"` closes the connection unread; `"cut_after"`
            does what was asked and closes the connection without an answer; `"hang"` never answers.
        method (`str`): regular expression that the whole method must fit.
        path (`str`): regular expression that is searched in the path.
        after (`int`): fitting requests that go well before it.
    """

    kind: Literal["status", "cut", "cut_after", "hang"]
    method: str = ".*"
    path: str = ""
    times: float = 1
    after: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []
        self.happened: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any."""
        with self._lock:
            for fault in self.planned:
                if fault.times > 0 and re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    if fault.after > 0:
                        fault.after -= 1
                        continue
                    fault.times -= 1
                    self.happened.append((fault.kind, method, path))
                    return fault
        return None
