"""Starting the app: what models are called, and what stops it before anybody can look."""

import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the app's extra is not installed: make test-app installs it")

from videopath_hf.errors import UserError
from videopath_hf.serving.app.launch import run_app, titles


def unreached(address: str) -> None:
    raise AssertionError(f"the app is at {address}")


def test_folders_are_called_by_the_end_that_tells_them_apart_and_ids_stay(tmp_path: Path) -> None:
    for name in ("one/merged", "two/merged"):
        (tmp_path / name).mkdir(parents=True)
    one, two = str(tmp_path / "one" / "merged"), str(tmp_path / "two" / "merged")
    assert titles([one]) == ["merged"]
    assert titles([one, two]) == ["one/merged", "two/merged"]
    assert titles([one, "my-lab/model"]) == ["merged", "my-lab/model"]
    assert titles([one, one]) == ["merged", "merged"]


def test_without_a_model_the_demos_is_taken_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"which model\? name one with --model, or run `videopath demo` first"):
        run_app(on_ready=unreached)


def test_a_port_that_is_taken_is_told_and_nothing_is_left(checkpoint: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1, port {port}, which is taken") as caught:
            run_app(str(checkpoint), port=port, uploads=tmp_path / "uploads", on_ready=unreached)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_public_address_that_cannot_be_had_ends_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def no_tunnel(*args: Any, **options: Any) -> str:
        raise RuntimeError("no way out")

    monkeypatch.setattr("gradio.networking.setup_tunnel", no_tunnel)
    with pytest.raises(UserError, match="Gradio gave no public address"):
        run_app(str(checkpoint), share=True, uploads=tmp_path / "uploads", on_ready=unreached)
    assert capsys.readouterr().out == ""
    assert list((tmp_path / "uploads").iterdir()) == []
