"""The app on a port: models are opened, the page is served, and when it ends everything is cleaned up."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from videopath_hf.errors import MissingExtraError, UserError
from videopath_hf.progress import note
from videopath_hf.serving.app.settings import AppSettings

if TYPE_CHECKING:
    from videopath_hf.serving.app.desk import Desk
    from videopath_hf.serving.app.readers import Reader

DEMO_MODEL = Path("demo_out") / "stage3_video_sft" / "merged"
"""What `videopath demo` leaves, and is taken where no model is named."""

_THREADS = 40  # of Gradio's, beside those that wait


def run_app(
    model: str | None = None,
    compare: str | None = None,
    *,
    settings: AppSettings | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    bits: int | None = None,
    revision: str | None = None,
    uploads: Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the app until the process is told to end.

    Args:
        model (`str`, *optional*): checkpoint folder or Hub id; the demo's, if there is one, where omitted.
        compare (`str`, *optional*): a second one, which answers each question beside the first.
        settings (`AppSettings`, *optional*): limits, and how the models look at videos.
        host (`str`, defaults to `"127.0.0.1"`): address to listen at; `"0.0.0.0"` for all of this machine's.
        port (`int`, *optional*): the first free one from 7860 on if omitted.
        share (`bool`, defaults to `False`): also at a public address of Gradio's, which everything then passes.
        device, dtype, bits, revision: as of [`~videopath_hf.modeling.loading.load_model`]; the revision is `model`'s.
        uploads (`Path`, *optional*): where visitors' files lie while they are here.
        on_ready (`Callable[[str], None]`, *optional*): given the address once it answers.

    Raises:
        UserError: a model cannot be opened, or the port is taken.
        MissingExtraError: Gradio is not installed.
    """
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise MissingExtraError("gradio", "app", "the web app") from None
    from videopath_hf.serving.app.desk import Desk
    from videopath_hf.serving.app.examples import cut_examples
    from videopath_hf.serving.app.storage import Storage

    settings = settings or AppSettings()
    with ExitStack() as stack:
        ended = stack.enter_context(_ending())
        readers = _open_models(model, compare, settings, device, dtype, bits, revision)
        storage = Storage(uploads)
        stack.callback(storage.close)
        if storage.removed:
            note(f"deleted the files of {storage.removed} earlier runs that could not do it themselves")
        desk = Desk(readers, settings, storage, cut_examples(storage.folder()))
        stack.callback(desk.close)
        page, address = _launch(desk, host, port, share)
        stack.callback(page.close, verbose=False)
        if on_ready is not None:
            on_ready(address)
        while not ended.wait(0.5):  # a signal that another thread receives does not wake this one
            pass


def _launch(desk: "Desk", host: str, port: int | None, share: bool) -> tuple[Any, str]:
    """Serve the page from another thread, and give it with its address."""
    from starlette.middleware import Middleware

    from videopath_hf.serving.app.page import look, make_page
    from videopath_hf.serving.app.routes import Gate, make_routes

    page = make_page(desk)
    try:
        with redirect_stdout(sys.stderr):  # Gradio talks there
            _, local, public = page.launch(
                server_name=host,
                server_port=port,
                share=share,
                app_kwargs={"routes": make_routes(desk), "middleware": [Middleware(Gate)]},
                blocked_paths=[str(desk.storage.parent.resolve())],
                max_threads=_THREADS + desk.limits.visits,  # every page may wait for its file to be looked at
                prevent_thread_lock=True,
                quiet=True,
                show_error=False,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                **look(),
            )
    except OSError:
        ports = f"port {port}, which is taken or not yours to use" if port else "any port from 7860 to 7959"
        raise UserError(f"the app cannot listen at {host}, {ports}; give others with --host and --port") from None
    if share and not public:
        page.close(verbose=False)
        raise UserError("Gradio gave no public address (its reason is above); try again, or leave --share out")
    return page, public or local


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """Set when the process is told to end; a second time ends it at once."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        if ended.is_set():
            raise KeyboardInterrupt
        ended.set()

    is_main = threading.current_thread() is threading.main_thread()  # others may not handle signals
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)} if is_main else {}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_models(
    model: str | None,
    compare: str | None,
    settings: AppSettings,
    device: str,
    dtype: str,
    bits: int | None,
    revision: str | None,
) -> "list[Reader]":
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.serving.app.readers import Reader

    if model is None:
        if not DEMO_MODEL.is_dir():
            raise UserError(
                f"which model? name one with --model, or run `videopath demo` first: its tiny one in {DEMO_MODEL} is "
                "taken then"
            )
        model = str(DEMO_MODEL)
    paths = [model] if compare is None else [model, compare]
    readers = []
    for path, title in zip(paths, titles(paths), strict=True):
        note(f"opening {path}")
        chosen = revision if path is model else None
        readers.append(Reader(title, *load_model(path, dtype, device, bits=bits, revision=chosen), settings))
    return readers


def titles(paths: Sequence[str]) -> list[str]:
    """What models are called on the page: Hub ids as they are; of folders, only the end of the path that tells them
    apart, since the rest is nobody's business."""
    parts = [Path(path).resolve().parts if Path(path).exists() else (path,) for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        made = ["/".join(part[-length:]) for part in parts]
        if len(set(made)) == len(set(map(str, parts))):
            return made
    return list(paths)
