import asyncio
from typing import Any

import pytest

from tests.llm.chat_server import said, serve
from videopath_hf.llm.budget import Budget, BudgetError, estimate_tokens
from videopath_hf.llm.chat import LoggedChat
from videopath_hf.llm.settings import ServerSettings


def priced(**values: Any) -> ServerSettings:
    defaults = {"base_url": "http://localhost:1/v1", "model": "m", "price_input": 1.0, "price_output": 10.0}
    return ServerSettings(**{**defaults, **values})


def test_tokens_of_text_and_attached_media_are_estimated() -> None:
    blocks = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "text", "text": "x" * 300},
    ]
    request = {"messages": [{"role": "system", "content": "y" * 30}, {"role": "user", "content": blocks}]}
    settings = priced(tokens_per_image=700, tokens_per_video=5000)
    assert estimate_tokens(request, settings) == 10 + 700 + 5000 + 100 + 2 * 8


def test_requests_pass_while_the_dearest_outcome_of_all_under_way_fits() -> None:
    settings = priced(budget=25e-3, max_tokens=1000)  # each request can cost 10e-3 and a little
    request = settings.chat_request([{"role": "user", "content": "x"}])
    under_way: list[int] = []

    async def one(budget: Budget, cost: float) -> None:
        async with budget.admit(request) as charge:
            under_way.append(1)
            assert len(under_way) <= 2
            await asyncio.sleep(0.01)
            charge.settle(cost)
            under_way.pop()

    async def run(cost: float) -> Budget:
        budget = Budget(settings)
        done = await asyncio.gather(*(one(budget, cost) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(error, BudgetError) for error in done) == (0 if cost < 1e-3 else 3)
        return budget

    # Cheap replies free what was set aside for them; dear ones use it up.
    assert asyncio.run(run(1e-4)).spent == pytest.approx(5e-4)
    assert asyncio.run(run(10e-3)).spent == pytest.approx(20e-3)


def test_a_request_whose_reply_never_came_counts_as_the_dearest() -> None:
    settings = priced(budget=1.0, max_tokens=1000)

    async def run() -> float:
        budget = Budget(settings)
        with pytest.raises(ValueError, match="lost"):
            async with budget.admit(settings.chat_request([{"role": "user", "content": "x"}])):
                raise ValueError("lost")
        return budget.spent

    assert asyncio.run(run()) == pytest.approx(10e-3, rel=0.01)


def test_what_was_paid_before_counts_and_is_never_exceeded(tmp_path: Any) -> None:
    def run(server: Any, budget: float, count: int) -> tuple[int, str]:
        settings = priced(base_url=server.url, budget=budget, max_tokens=10, concurrency=4)

        async def main() -> tuple[int, str]:
            done, error = 0, ""
            async with LoggedChat(settings, tmp_path / "replies.jsonl") as chat:
                for number in range(count):
                    try:
                        await chat.ask(settings.chat_request([{"role": "user", "content": f"{number}"}]), {})
                        done += 1
                    except BudgetError as stop:
                        error = str(stop)
                        break
                assert chat.budget.spent <= budget
            return done, error

        return asyncio.run(main())

    with serve(lambda request, _: said("x")) as server:  # 90 tokens in, 10 out: 190e-6 each
        done, error = run(server, 1e-3, 20)
        assert done == 5
        assert "the budget of 0.001 is used up: 0.00095 is spent" in error
        assert run(server, 1e-3, 20)[0] == 5
        assert len(server.requests) == 5
        assert run(server, 1.0, 20) == (20, "")
        assert len(server.requests) == 20
