"""Estimates: the requests of a run are made and counted, and none is sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from videopath_hf.llm.budget import estimate_tokens
from videopath_hf.llm.chat import LoggedReply, request_key
from videopath_hf.llm.log import read_log
from videopath_hf.llm.settings import ServerSettings


class Estimate(BaseModel):
    """What a run would ask for at most: every turn is taken and every reply as long as allowed; repair turns and
    requests that fail are not in it. `cost` is None where no prices are set."""

    requests: int
    answered_before: int
    tokens_in: int
    tokens_out: int
    cost: float | None


class DryChat:
    """Stands in for a `LoggedChat`: replies from the log where there are some, else made up.

    Args:
        settings (`ServerSettings`): prices and lengths.
        log (`Path`, *optional*): the log of replies, if there is one.
        stand_ins (`dict`): by turn, the made-up reply.
    """

    def __init__(self, settings: ServerSettings, log: Path | None, stand_ins: Mapping[str, Any]) -> None:
        self.settings = settings
        self._known = {entry.key: entry for entry in (read_log(log, LoggedReply) if log else ())}
        self._stand_ins = stand_ins
        self._answered: set[str] = set()
        self._counted: set[str] = set()
        self._tokens_in = 0

    async def ask(self, request: dict[str, Any], about: Mapping[str, str], repeat: int = 0) -> LoggedReply:
        """The reply of the log, or a made-up one that is counted."""
        key = request_key(self.settings, request, repeat)
        if key in self._known:
            self._answered.add(key)
            return self._known[key]
        if key not in self._counted:  # of equal requests one is sent
            self._counted.add(key)
            self._tokens_in += estimate_tokens(request, self.settings)
        return LoggedReply(key=key, model=self.settings.model, text=json.dumps(self._stand_ins[about["turn"]]))

    def estimate(self) -> Estimate:
        """The sum of all that was asked."""
        tokens_out = len(self._counted) * self.settings.max_tokens
        return Estimate(
            requests=len(self._counted),
            answered_before=len(self._answered),
            tokens_in=self._tokens_in,
            tokens_out=tokens_out,
            cost=self.settings.price(self._tokens_in, tokens_out),
        )
