"""What a notebook shows of clips and answers: pictures inside, words escaped, nothing fetched or read from outside."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import videopath_hf
from tests.instructions.curated_folder import CELIAC, make_clip, make_curated
from videopath_hf import RESEARCH_NOTICE
from videopath_hf.errors import UserError
from videopath_hf.files import read_records, write_records
from videopath_hf.records import Answer, ClipRecord
from videopath_hf.video.encode import write_clip

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def html(shown: object) -> str:
    """What IPython would show of an object."""
    formatters = pytest.importorskip("IPython.core.formatters", reason="the extra docs is not installed")
    formats, _ = formatters.DisplayFormatter().format(shown)
    return str(formats["text/html"])


def pictures(page: str) -> list[Image.Image]:
    data = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in data]


def answer(media: list[str], **changes: object) -> Answer:
    fields: dict[str, object] = {
        "id": "1",
        "question": "What is it?",
        "answer": "Villi are flat.\nDiagnosis: celiac disease",
        "description": "Villi are flat.",
        "diagnosis": "celiac disease",
        "media": media,
        "model": "tiny",
        "tokens": 9,
        "seconds": {},
    }
    return Answer.model_validate(fields | changes)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Eight frames, each of its own grey."""
    frames = [np.full((48, 64, 3), 30 * number, dtype=np.uint8) for number in range(8)]
    write_clip(tmp_path / "clip.mp4", frames, fps=2)
    return tmp_path / "clip.mp4"


def test_clips_of_a_folder_are_shown_with_a_key_frame_each(tmp_path: Path) -> None:
    records = make_curated(tmp_path, per_case=2)
    clips = videopath_hf.load_clips(tmp_path)
    page = html(clips)
    assert len(pictures(page)) == len(clips) == len(records) == 5
    assert "villi are short and blunted" in page and "Celiac disease" in page and "not said" in page
    assert pictures(page)[0].width == 160


def test_of_many_clips_the_first_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    make_curated(tmp_path, per_case=10)
    page = html(videopath_hf.load_clips(tmp_path))
    assert len(pictures(page)) == 12
    assert "and 9 more" in page


def test_a_clip_is_shown_with_all_its_key_frames_side_by_side(tmp_path: Path) -> None:
    write_records(tmp_path / "clips.jsonl", [make_clip(tmp_path, "c1", CELIAC, labels=("CD3",), keyframes=3)])
    clip = videopath_hf.load_clips(tmp_path)[0]
    (strip,) = pictures(html(clip))
    assert strip.size == (3 * 160, 120)
    assert strip.getpixel((300, 60))[0] > 200  # type: ignore[index]  # the red of this case
    assert "&ldquo;CD3&rdquo;" in html(clip)


def test_a_clip_read_alone_says_where_its_key_frames_are(tmp_path: Path) -> None:
    make_curated(tmp_path)
    clip = read_records(tmp_path / "clips.jsonl", ClipRecord)[0]
    assert "load_clips" in html(clip)
    assert pictures(html(clip)) == []
    assert len(pictures(html(clip.at(tmp_path)))) == 1


def test_loaded_clips_are_the_records_that_stand_there(tmp_path: Path) -> None:
    records = make_curated(tmp_path)
    clips = videopath_hf.load_clips(tmp_path)
    assert [clip.model_dump() for clip in clips] == [record.model_dump() for record in records]
    assert isinstance(clips[1:3], type(clips)) and len(clips[1:3]) == 2
    assert repr(clips) == f"Clips({str(tmp_path)!r}, 7 clips)"


def test_a_folder_that_was_not_curated_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} is not a curated folder"):
        videopath_hf.load_clips(tmp_path)


def test_key_frames_that_are_gone_or_outside_are_named_and_not_shown(tmp_path: Path) -> None:
    make_curated(tmp_path / "curated")
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.jpg")
    clip = videopath_hf.load_clips(tmp_path / "curated")[0]
    for names in (["../secret.jpg"], [str(tmp_path / "secret.jpg")], ["keyframes/none.jpg"]):
        page = html(clip.model_copy(update={"keyframes": names}))
        assert pictures(page) == []
        assert "cannot be shown" in page
    (tmp_path / "curated" / clip.keyframes[0]).write_text("no picture")
    assert "cannot be shown" in html(clip)


def test_an_answer_is_shown_with_the_frames_the_model_saw(video: Path) -> None:
    page = html(answer([str(video)], frame_times=[0.5, 2.5]))
    (strip,) = pictures(page)
    assert strip.size == (320, 120)
    assert [round(strip.getpixel((x, 60))[0] / 30) for x in (80, 240)] == [1, 5]  # type: ignore[index]
    assert ": the 2 frames that the model saw, at 0.5, 2.5 s" in page
    assert "<b>Diagnosis:</b> celiac disease" in page and RESEARCH_NOTICE in page


def test_of_many_frames_some_are_shown_and_it_is_said(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", [np.zeros((48, 64, 3), np.uint8)] * 40, fps=10)
    page = html(answer([str(tmp_path / "long.mp4")], frame_times=[number / 10 for number in range(40)]))
    assert "8 of the 40 frames" in page
    assert pictures(page)[0].size == (4 * 160, 2 * 120)


def test_an_answer_made_blind_shows_no_frames(video: Path) -> None:
    page = html(answer([str(video)], frames_zeroed=True))
    assert pictures(page) == []
    assert "black pictures in its place" in page


def test_media_that_are_elsewhere_or_gone_are_named(tmp_path: Path) -> None:
    page = html(answer(["https://example.org/clip.mp4", str(tmp_path / "gone.mp4")]))
    assert pictures(page) == []
    assert "https://example.org/clip.mp4" in page
    assert "gone.mp4 cannot be shown: video" in page


def test_an_answer_placed_in_a_folder_shows_nothing_outside_of_it(video: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert len(pictures(html(answer(["clip.mp4"]).at(tmp_path)))) == 1
    page = html(answer([str(video)]).at(tmp_path / "data"))
    assert pictures(page) == [] and "leads out of" in page


def test_an_answer_without_a_diagnosis_says_so() -> None:
    assert "the model gave no Diagnosis: line" in html(answer([], diagnosis=None))


def test_words_of_models_and_files_are_escaped(tmp_path: Path) -> None:
    make_curated(tmp_path)
    clip = videopath_hf.load_clips(tmp_path)[0]
    hostile = clip.model_copy(update={"text": HOSTILE, "source": HOSTILE, "clip_id": HOSTILE, "keyframes": [HOSTILE]})
    one = answer([HOSTILE], question=HOSTILE, description=HOSTILE, diagnosis=HOSTILE, model=HOSTILE, reference=HOSTILE)
    for page in (html(hostile), html(one)):
        assert "<script" not in page and "<img src=x" not in page
        assert "&lt;script&gt;" in page


def test_importing_records_loads_nothing_to_show_them_with() -> None:
    code = "import sys, videopath_hf.records; print([n for n in ('PIL', 'jinja2', 'numpy', 'av') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
