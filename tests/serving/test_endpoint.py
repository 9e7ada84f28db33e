"""The contract of Inference Endpoints: a handler in a folder, called with a dictionary, gives one that is JSON."""

import base64
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.serving.conftest import QUESTION
from tests.serving.server_tools import HERE, data_url
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.serving.endpoint import EndpointHandler

Clips = Callable[..., Path]
ENDPOINT = Path(__file__).parents[2] / "model_cards" / "endpoint"


@pytest.fixture(scope="module")
def handler(lively: Path) -> EndpointHandler:
    return EndpointHandler(str(lively), HERE)


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_video_in_base64_or_at_an_address_is_answered_about_as_by_ask(
    handler: EndpointHandler, make_clip: Clips, ask_directly: Callable[..., str], files: Any
) -> None:
    clip = make_clip(50)
    (files.folder / "endpoint.mp4").write_bytes(clip.read_bytes())
    expected = ask_directly(clip)
    for address in (encoded(clip), data_url(clip), f"http://127.0.0.1:{files.server_port}/to/endpoint.mp4"):
        inputs = {"video": address, "question": QUESTION}
        reply = handler({"inputs": inputs, "parameters": {"max_new_tokens": 24}})
        assert reply["answer"] == reply["description"] == expected
        assert reply["diagnosis"] is None
        assert reply["notice"] == RESEARCH_NOTICE
        assert len(reply["frame_times"]) == 32
        assert reply["frame_times"][-1] == pytest.approx(4.9)
        assert json.loads(json.dumps(reply)) == reply


@pytest.mark.needs_shared
def test_the_development_lecture_is_answered_about_as_by_ask(
    handler: EndpointHandler, shared: Path, ask_directly: Callable[..., str]
) -> None:
    lecture = shared / "lectures" / "dev" / "lecture.mp4"
    inputs = {"video": encoded(lecture), "question": QUESTION}
    reply = handler({"inputs": inputs, "parameters": {"max_new_tokens": 24}})
    assert reply["answer"] == ask_directly(lecture) != ""
    assert len(reply["frame_times"]) == 32 and reply["frame_times"][-1] > 85


def test_images_come_after_videos_and_parameters_are_those_of_ask(
    handler: EndpointHandler, make_clip: Clips, ask_directly: Callable[..., str], slide: bytes, tmp_path: Path
) -> None:
    (tmp_path / "slide.png").write_bytes(slide)
    inputs = {"image": [data_url(slide, "image/png")], "video": encoded(make_clip(50)), "question": QUESTION}
    reply = handler({"inputs": inputs, "parameters": {"max_new_tokens": 24}})
    assert reply["answer"] == ask_directly(make_clip(50), tmp_path / "slide.png")
    by_time = handler({"inputs": {"video": inputs["video"]}, "parameters": {"sampling": "fps", "max_new_tokens": 1}})
    assert by_time["frame_times"] == [0, 1, 2, 3, 4]
    assert by_time["question"].startswith("Which diagnosis fits")
    fewer = handler({"inputs": {"video": inputs["video"]}, "parameters": {"frames": 3, "max_new_tokens": 1}})
    assert len(fewer["frame_times"]) == 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("text", 'the request must be a JSON object with "inputs"'),
        ({}, "inputs: Field required"),
        ({"inputs": {"question": "What?"}}, "inputs: there is neither a video nor an image"),
        ({"inputs": {"video": "", "question": "What?"}}, "video 1 of the request is empty"),
        ({"inputs": {"video": "CLIP", "question": ""}}, "inputs.question: String should have at least 1 character"),
        (
            {"inputs": {"video": "CLIP", "prompt": "x"}},
            "inputs.prompt: it is not known; accepted are video, image, question",
        ),
        (
            {"inputs": {"video": "CLIP"}, "parameters": {"top_k": 5}},
            "parameters.top_k: it is not known; accepted are max_new_tokens, frames, sampling",
        ),
        ({"inputs": {"video": "CLIP"}, "parameters": {"frames": 0}}, "parameters.frames: Input should be greater"),
        ({"inputs": {"video": "CLIP"}, "options": {}}, "options: it is not known; accepted are inputs, parameters"),
        ({"inputs": {"video": "file:///etc/hostname"}}, "video 'file:///etc/hostname' is not accepted"),
        ({"inputs": {"video": "/etc/hostname"}}, "is not"),
        ({"inputs": {"image": "d29yZHM="}}, "image 1 of the request cannot be read"),
        ({"inputs": {"video": ["CLIP"] * 9}}, "the request holds 9 images and videos; at most 8 are accepted"),
        ({"inputs": {"video": "CLIP", "question": "<|video_pad|>"}}, "the question cannot be asked"),
    ],
)
def test_what_cannot_be_answered_is_an_error_in_a_sentence(
    handler: EndpointHandler, make_clip: Clips, request_: Any, message: str
) -> None:
    text = json.dumps(request_).replace("CLIP", encoded(make_clip(6)))
    reply = handler(json.loads(text))
    assert set(reply) == {"error", "notice"}
    assert message in reply["error"]
    assert "\n" not in reply["error"]
    assert "/tmp" not in reply["error"]


def test_the_requirement_is_this_package() -> None:
    (line,) = (ENDPOINT / "requirements.txt").read_text().splitlines()
    requirement = Requirement(line)
    assert requirement.name == "videopath-hf"
    assert requirement.specifier.contains(version("videopath-hf"))
