"""Many pieces of work on few workers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from videopath_hf.errors import UserError

ItemT = TypeVar("ItemT")


async def run_all(items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[None]], workers: int) -> UserError | None:
    """Do `work` on all items, `workers` at a time; items are taken as they can be begun.

    When one of them meets a `UserError` (what stops the whole run), nothing more is begun, what is under way is
    finished, so that what was paid for is kept, and the first such error is returned. Any other exception cancels
    the rest and is raised.
    """
    queue = iter(items)
    stopped: list[UserError] = []

    async def worker() -> None:
        for item in queue:
            if stopped:
                return
            try:
                await work(item)
            except UserError as error:
                stopped.append(error)

    tasks = [asyncio.ensure_future(worker()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return stopped[0] if stopped else None


def run_coroutine(make: Callable[[], Awaitable[ItemT]]) -> ItemT:
    """Run a coroutine to its end, also from within a running event loop."""
    from concurrent.futures import ThreadPoolExecutor

    async def main() -> ItemT:
        return await make()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()
