"""`videopath serve` as it is typed: a process that answers, says what it is, and ends when it is told to."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.serving.server_tools import about, client, data_url, joined, served, video
from videopath_hf import RESEARCH_NOTICE

Clips = Callable[..., Path]


def ended(process: "object", number: int) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a server that is told to stop."""
    process.send_signal(number)  # type: ignore[attr-defined]
    out, err = process.communicate(timeout=60)  # type: ignore[attr-defined]
    return process.returncode, out, err  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_command_answers_as_ask_does_until_it_is_interrupted(
    lively: Path,
    make_clip: Clips,
    ask_directly: Callable[..., str],
    files: "object",
) -> None:
    clip = make_clip(50)
    (files.folder / "own.mp4").write_bytes(clip.read_bytes())  # type: ignore[attr-defined]
    expected = ask_directly(clip)
    with served("--model", lively, "--name", "lively", "--allow-private") as (address, process):
        api = client(address)
        for url in (data_url(clip), f"http://127.0.0.1:{files.server_port}/own.mp4"):  # type: ignore[attr-defined]
            asked = {"model": "lively", "messages": about(video(url)), "max_tokens": 24}
            assert api.chat.completions.create(**asked).choices[0].message.content == expected
            assert joined(api.chat.completions.create(**asked, stream=True)) == expected
        code, out, err = ended(process, signal.SIGINT)
    assert (code, out) == (0, "")
    assert RESEARCH_NOTICE in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.needs_shared
def test_the_command_answers_about_the_development_lecture_and_ends_in_the_middle_of_an_answer(
    lively: Path, shared: Path, ask_directly: Callable[..., str]
) -> None:
    lecture = shared / "lectures" / "dev" / "lecture.mp4"
    with served("--model", lively, "--max-new-tokens", "30000") as (address, process):
        asked = {"model": "model", "messages": about(video(data_url(lecture)))}
        api = client(address)
        assert api.chat.completions.create(**asked, max_tokens=24).choices[0].message.content == ask_directly(lecture)
        stream = api.chat.completions.create(**asked, max_tokens=30000, stream=True)
        next(iter(stream))
        code, _, err = ended(process, signal.SIGTERM)
    assert code == 0
    assert err.splitlines()[-1] == "stopped"


def test_a_port_in_use_a_missing_model_and_options_of_the_other_engine_are_one_sentence(
    run: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("serve", "--model", tmp_path, "--port", port)
    assert (code, out) == (2, "")
    assert f"cannot listen at 127.0.0.1, port {port}: Address already in use" in err
    for options, message in (
        (["--model", tmp_path / "none"], "none does not exist"),
        (["--model", tmp_path], "holds no config.json"),
        (["--model", tmp_path, "--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid"),
        (["--model", tmp_path, "--allow-domain", "a.org"], "--allow-domain is of --engine vllm"),
        (["--model", tmp_path, "--show-command"], "--show-command is of --engine vllm"),
    ):
        code, out, err = run("serve", "--port", 0, *options)
        assert (code, out) == (2, ""), options
        assert err.startswith("videopath: error: ")
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_without_the_extra_the_command_that_adds_it_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    code, _, err = run("serve", "--model", "x")
    assert code == 2
    assert "pip install 'videopath-hf[serve]'" in err


def fake_vllm(folder: Path) -> Path:
    """A program of vLLM's name that prints how it was started."""
    program = folder / "vllm"
    program.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "names = ('VLLM_MEDIA_URL_ALLOW_REDIRECTS', 'VLLM_API_KEY')\n"
        "print(json.dumps({'words': sys.argv[1:], **{name: os.environ.get(name) for name in names}}))\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.slow
def test_vllm_is_started_for_the_stock_layout_with_the_same_frames_answers_and_limits(
    lively: Path,
    run: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import json
    import subprocess
    import sys

    from videopath_hf.modeling.conversion import convert
    from videopath_hf.modeling.loading import load_model
    from videopath_hf.modeling.tiny import save_checkpoint

    model, processor = load_model(lively)
    model.config.video_newline_position = processor.video_newline_position = "one_token"
    model.config.vision_aspect_ratio = processor.image_processor.image_aspect_ratio = "anyres_max_9"
    (tmp_path / "ours").mkdir()
    save_checkpoint(model, processor, tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "stock", "llava_onevision")
    fake_vllm(tmp_path)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "VIDEOPATH_SERVE_API_KEY": "secret",
    }
    command = [sys.executable, "-m", "videopath_hf", "serve", "--engine", "vllm", "--model", str(tmp_path / "stock")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    started = json.loads(done.stdout)
    assert started == {
        "words": [
            *("serve", str(tmp_path / "stock"), "--host", "127.0.0.1", "--port", "8000"),
            *("--served-model-name", "stock", "--limit-mm-per-prompt", '{"image": 8, "video": 8}'),
            *("--media-io-kwargs", '{"video": {"num_frames": 32}}'),
            *("--override-generation-config", '{"temperature": 0.0, "max_new_tokens": 1024}'),
            *("--allowed-media-domains", "none.invalid"),
        ],
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        "VLLM_API_KEY": "secret",
    }
    assert "without our code: its repetition penalty also counts the prompt" in done.stderr
    assert RESEARCH_NOTICE in done.stderr
    monkeypatch.setenv("VIDEOPATH_SERVE_API_KEY", "secret")
    shown = ["serve", "--engine", "vllm", "--model", tmp_path / "stock", "--show-command"]
    code, out, _ = run(*shown, "--allow-domain", "a.org", "--allow-domain", "b.org")
    assert code == 0
    assert out.startswith("VLLM_MEDIA_URL_ALLOW_REDIRECTS=0 vllm serve ")
    assert out.endswith("--allowed-media-domains a.org b.org\n")
    assert "secret" not in out
    for options, message in (
        (["--model", lively], "which has no video_newline_position = 'grid': use --engine transformers"),
        (["--model", tmp_path / "ours"], "videopath convert"),
        (["--model", tmp_path / "stock", "--waiting", "3"], "vLLM has nothing for --waiting"),
        (["--model", tmp_path / "stock", "--allow-private"], "vLLM has nothing for --allow-private"),
        (["--model", tmp_path / "stock"], "vllm is not installed here"),
    ):
        code, _, err = run("serve", "--engine", "vllm", *options)
        assert code == 2
        assert message in err
