"""What the app allows, and how its models look at videos."""

from typing import Literal

from pydantic import Field

from videopath_hf.settings import Settings


class Limits(Settings):
    """Bounds on what one visitor, and all of them together, may take of the machine.

    Args:
        file_mb (`float`, defaults to 200): largest file, in 10^6 bytes.
        upload_seconds (`float`, defaults to 900): longest that a file may take to come in; its room is free then.
        video_seconds (`float`, defaults to 300): longest video.
        video_megapixels (`float`, defaults to 9): most pixels of a video's frame, in 10^6; 3840x2160 has 8.3.
        image_megapixels (`float`, defaults to 25): most pixels of an image, in 10^6.
        decoded_frames (`int`, defaults to 10000): most frames of a file; all are decoded once when it arrives.
        check_seconds (`float`, defaults to 90): longest that this may take.
        checks (`int`, defaults to 2): files that are looked at at the same time.
        stored_mb (`float`, defaults to 4000): room for the files of all visitors, in 10^6 bytes.
        visits (`int`, defaults to 100): pages that may be open at the same time.
        questions (`int`, defaults to 50): most questions about one file.
        question_characters (`int`, defaults to 1000): longest question.
        queue (`int`, defaults to 8): most jobs that wait or run at the same time; each visitor may have one.
        answer_seconds (`float`, defaults to 300): longest that answering one question may take, once it has begun.
        evidence_seconds (`float`, defaults to 60): time for measuring evidence; what is measured by then is shown.
        idle_minutes (`float`, defaults to 30): after so long without a request, a visitor's files are deleted.
        leave_seconds (`float`, defaults to 20): after so long they are, once the page was closed.
        kept_videos (`int`, defaults to 4): videos that each model keeps in memory, so that further questions about
            them are answered at once.
    """

    file_mb: float = Field(default=200, gt=0)
    upload_seconds: float = Field(default=900, gt=0)
    video_seconds: float = Field(default=300, gt=0)
    video_megapixels: float = Field(default=9, gt=0)
    image_megapixels: float = Field(default=25, gt=0)
    decoded_frames: int = Field(default=10_000, gt=0)
    check_seconds: float = Field(default=90, gt=0)
    checks: int = Field(default=2, gt=0)
    stored_mb: float = Field(default=4000, gt=0)
    visits: int = Field(default=100, gt=0)
    questions: int = Field(default=50, gt=0)
    question_characters: int = Field(default=1000, gt=0)
    queue: int = Field(default=8, gt=0)
    answer_seconds: float = Field(default=300, gt=0)
    evidence_seconds: float = Field(default=60, gt=0)
    idle_minutes: float = Field(default=30, gt=0)
    leave_seconds: float = Field(default=20, ge=0)
    kept_videos: int = Field(default=4, gt=0)


class AppSettings(Settings):
    """Settings of the app.

    Args:
        frames (`int`, defaults to 32): most frames that a model sees of a video.
        sampling (`str`, defaults to `"uniform"`): `"uniform"`: evenly spaced; `"fps"`: one a second up to `frames`.
        max_new_tokens (`int`, defaults to 1024): longest answer, in tokens; the paper's setting.
        evidence_frames (`int`, defaults to 3): how many of the strongest frames are measured region by region.
        evidence_grid (`int`, defaults to 4): regions along each side of a frame.
        limits (`Limits`): see there.
    """

    frames: int = Field(default=32, gt=0)
    sampling: Literal["uniform", "fps"] = "uniform"
    max_new_tokens: int = Field(default=1024, gt=0)
    evidence_frames: int = Field(default=3, ge=0)
    evidence_grid: int = Field(default=4, gt=0)
    limits: Limits = Limits()
