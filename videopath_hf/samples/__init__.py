"""A small narrated lecture that ships with the package; `SOURCES.md` beside it says what it is made of."""

from pathlib import Path


def lecture_path() -> Path:
    """Path of the sample lecture (mp4); its subtitles lie beside it under the same name with `.srt`."""
    return Path(__file__).parent / "lecture.mp4"
