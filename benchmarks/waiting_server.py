"""An HTTP server that does nothing but wait and answer, so that the client is what is measured."""

import asyncio
import json
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple


class Answer(NamedTuple):
    """What is sent after `wait` seconds: the status line's end, further header lines, and the body."""

    wait: float
    status: bytes = b"200 OK"
    headers: bytes = b"Content-Type: application/json\r\n"
    body: bytes = b"{}"


def completion(words: str, tokens_in: int, tokens_out: int) -> bytes:
    """The body of a chat completion."""
    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": words}}
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    whole = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [message], "usage": usage}
    return json.dumps(whole).encode()


def serve(ready: Connection, answer: Callable[[bytes], Answer]) -> None:
    """Answer every request by `answer(its body)`, for ever; the port is sent to `ready`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                wait, status, headers, body = answer(await reader.readexactly(length))
                await asyncio.sleep(wait)
                size = f"Content-Length: {len(body)}\r\n\r\n".encode()
                writer.write(b"HTTP/1.1 " + status + b"\r\n" + headers + size + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1000)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
