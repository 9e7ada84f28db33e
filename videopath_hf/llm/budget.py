"""Money: what a request may cost at most, what was spent, and when to stop."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from videopath_hf.errors import UserError
from videopath_hf.llm.settings import ServerSettings

_CHARACTERS_PER_TOKEN = 3  # English has about four; medical terms and JSON have fewer
_TOKENS_PER_MESSAGE = 8


class BudgetError(UserError):
    """The next request could exceed the budget; what was paid is kept."""

    exit_code = 3


def estimate_tokens(request: dict[str, Any], settings: ServerSettings) -> int:
    """Tokens of a request's messages: three characters each, attached media at a flat rate."""
    total = 0
    for message in request["messages"]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        total += _TOKENS_PER_MESSAGE
        for part in parts:
            if part["type"] == "image_url":
                total += settings.tokens_per_image
            elif part["type"] == "video_url":
                total += settings.tokens_per_video
            else:
                total += math.ceil(len(part["text"]) / _CHARACTERS_PER_TOKEN)
    return total


class Charge:
    """What one sent request cost: the estimate, until `settle` says better."""

    def __init__(self, worst: float) -> None:
        self.cost = worst

    def settle(self, cost: float) -> None:
        """Put the real cost in place of the estimate."""
        self.cost = cost


class Budget:
    """Lets requests pass while even the dearest outcome of all that are under way stays within the cap.

    Args:
        settings (`ServerSettings`): prices and cap; without a cap everything passes.
        spent (`float`, defaults to 0.0): what was spent before.
    """

    def __init__(self, settings: ServerSettings, spent: float = 0.0) -> None:
        self._settings = settings
        self.spent = spent
        self._reserved: dict[object, float] = {}
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def admit(self, request: dict[str, Any]) -> AsyncIterator[Charge]:
        """Wait until the request fits into what is left, and account for it afterwards.

        Raises:
            BudgetError: it does not fit although nothing else is under way.
        """
        settings = self._settings
        longest = request.get("max_tokens") or request.get("max_completion_tokens") or settings.max_tokens
        worst = settings.price(estimate_tokens(request, settings), longest) or 0.0
        charge = Charge(worst)
        if settings.budget is None:
            yield charge
            self.spent += charge.cost
            return
        async with self._changed:
            while self.spent + sum(self._reserved.values()) + worst > settings.budget:
                if not self._reserved:
                    raise BudgetError(
                        f"the budget of {settings.budget:g} is used up: {self.spent:.4g} is spent and the next "
                        f"request could cost {worst:.4g}; what was answered is kept: raise `budget` and run again"
                    )
                await self._changed.wait()
            self._reserved[charge] = worst
        try:
            yield charge
        finally:
            async with self._changed:
                del self._reserved[charge]
                self.spent += charge.cost
                self._changed.notify_all()
