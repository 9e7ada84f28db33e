"""Settings of curation, one section a block. Thresholds were chosen on the team's synthetic development lecture
(90 s, 720p, two cases) and on 23 whole-slide crops; where a number has another reason, the docstring says it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from videopath_hf.settings import Settings


class ProbeSettings(Settings):
    """When a video that does not come to an end is given up; it is decoded in a process of its own.

    Args:
        stall_seconds (`float`, defaults to 60.0): longest time without a new frame.
        min_seconds (`float`, defaults to 300.0): every video may be decoded for this long.
        slowest (`float`, defaults to 2.0): seconds of decoding for each second of video, if these are more. Two cores
            decode 720p at some 0.03 s a second, a busy laptop 4K H.265 at about 1.
    """

    stall_seconds: float = Field(default=60.0, gt=0)
    min_seconds: float = Field(default=300.0, gt=0)
    slowest: float = Field(default=2.0, gt=0)


class TranscriptSettings(Settings):
    """Where the words come from.

    Args:
        backend (`str`, defaults to `"auto"`): `"sidecar"` (.srt, .vtt or .json beside the video), `"whisper"`
            (openai-whisper), `"none"`, or `"auto"`: the sidecar, else Whisper where its model is on disk, else none.
        whisper_model (`str`, defaults to `"base"`): a model's name or the path of a .pt file. It is never downloaded.
        language (`str`, *optional*): language code for Whisper; detected if omitted.
    """

    backend: Literal["auto", "sidecar", "whisper", "none"] = "auto"
    whisper_model: str = "base"
    language: str | None = None


class SegmentSettings(Settings):
    """How a lecture is cut into segments.

    Args:
        detector (`str`, defaults to `"adaptive"`): PySceneDetect's detector, `"adaptive"` or `"content"`. On the
            development lecture adaptive finds 5 of 5 hard cuts without a false one, where content cuts fast pans too.
        threshold (`float`, *optional*): the detector's own default if omitted (adaptive 3.0, content 27.0).
        min_seconds (`float`, defaults to 0.6): shortest segment, PySceneDetect's 15 frames at 25 fps.
        sample_fps (`float`, defaults to 2.0): frames a second whose colours are measured.
        width (`int`, defaults to 320): frames are scaled down to this width for cuts and colours.
    """

    detector: Literal["adaptive", "content"] = "adaptive"
    threshold: float | None = Field(default=None, gt=0)
    min_seconds: float = Field(default=0.6, gt=0)
    sample_fps: float = Field(default=2.0, gt=0)
    width: int = Field(default=320, ge=64)


class TissueSettings(Settings):
    """When a frame shows tissue; all are shares of the frame, see `tissue.Colours`.

    Args:
        min_tissue (`float`, defaults to 0.02): stained area. The smallest overview of 23 slides has 0.065.
        min_slide (`float`, defaults to 0.65): stain and glass together. Slides with a minimap, a label and an inset
            keep 0.96; a presenter before a blurred wall has 0.6.
        max_plain (`float`, defaults to 0.5): painted background. Slides stay below 0.1; title slides have 0.9.
        max_darkness (`float`, defaults to 0.75): 1 is black. Dense stain at high power reaches 0.52.
        title_plain (`float`, defaults to 0.75): painted background from which a frame is a title slide.
    """

    min_tissue: float = Field(default=0.02, ge=0, le=1)
    min_slide: float = Field(default=0.65, ge=0, le=1)
    max_plain: float = Field(default=0.5, ge=0, le=1)
    max_darkness: float = Field(default=0.75, ge=0, le=1)
    title_plain: float = Field(default=0.75, ge=0, le=1)


class PersonSettings(Settings):
    """How presenters are found and hidden.

    Args:
        enabled (`bool`, defaults to `True`): look for faces at all.
        min_face (`float`, defaults to 0.07): width of a full-screen presenter's face as a share of the frame's width;
            smaller hits in tissue are texture.
        min_edge (`float`, defaults to 8.0): grey levels by which an inset's four sides must stand out.
        max_covered (`float`, defaults to 0.4): share of the frame that insets may hide before a segment is rejected.
    """

    enabled: bool = True
    min_face: float = Field(default=0.07, gt=0, le=1)
    min_edge: float = Field(default=8.0, gt=0)
    max_covered: float = Field(default=0.4, gt=0, le=1)


class ScreenTextSettings(Settings):
    """How burned-in text is found and painted out.

    Args:
        backend (`str`, defaults to `"auto"`): `"rapidocr"`, `"none"`, or `"auto"`: RapidOCR where it is installed.
        interval (`float`, defaults to 1.0): seconds between two readings while the picture moves; a still picture is
            read once, and again when something in it changes.
        side (`int`, defaults to 736): length of the longer side at which text is looked for. From 640 on all of 60
            texts, of 26 to 64 pixels in a 720p frame, are read; at 736 it takes 0.6 times as long as at 960.
        min_score (`float`, defaults to 0.75): recognition score of a text's best reading. Real labels score above
            0.9; stained texture that is taken for a letter stays below.
        margin (`int`, defaults to 4): pixels by which a text's box is widened before it is painted out.
        pad_seconds (`float`, defaults to 0.3): the box is painted out this long before and after it was seen.
        method (`str`, defaults to `"telea"`): OpenCV's inpainting, `"telea"` or `"ns"`.
    """

    backend: Literal["auto", "rapidocr", "none"] = "auto"
    interval: float = Field(default=1.0, gt=0)
    side: int = Field(default=736, ge=320)
    min_score: float = Field(default=0.75, ge=0, le=1)
    margin: int = Field(default=4, ge=0)
    pad_seconds: float = Field(default=0.3, ge=0)
    method: Literal["telea", "ns"] = "telea"


class CaseSettings(Settings):
    """How cases are told apart.

    Args:
        cue_seconds (`float`, defaults to 10.0): how far into a segment "the second case" or a new organ still says
            which case the segment is about.
    """

    cue_seconds: float = Field(default=10.0, gt=0)


class ClipSettings(Settings):
    """How segments are cut into clips.

    Args:
        fps (`float`, defaults to 2.0): frames a second of the clips; the released data has 1 to 5.
        max_seconds (`float`, defaults to 16.0): longest clip; at 2 fps the 32 frames the model sees.
        min_seconds (`float`, defaults to 2.0): shortest clip.
        crf (`int`, defaults to 18): x264's constant rate factor.
        keyframes (`int`, defaults to 3): refined frames saved as JPEG beside each clip.
        sheet_frames (`int`, defaults to 8): frames on each contact sheet.
    """

    fps: float = Field(default=2.0, gt=0, le=60)
    max_seconds: float = Field(default=16.0, gt=0)
    min_seconds: float = Field(default=2.0, gt=0)
    crf: int = Field(default=18, ge=0, le=51)
    keyframes: int = Field(default=3, ge=1, le=32)
    sheet_frames: int = Field(default=8, ge=1, le=32)

    @model_validator(mode="after")
    def _shortest_fits(self) -> "ClipSettings":
        if self.min_seconds > self.max_seconds:
            raise ValueError(f"min_seconds ({self.min_seconds}) must not be above max_seconds ({self.max_seconds})")
        if self.max_seconds * self.fps < 1:
            raise ValueError(f"max_seconds ({self.max_seconds}) is too short for one frame at {self.fps} fps")
        return self


class QualitySettings(Settings):
    """When a finished clip is dropped.

    Args:
        min_tissue (`float`, defaults to 0.02): mean stained share of its refined frames: after masking and painting
            out there must still be tissue to see.
        max_black (`float`, defaults to 0.9): mean darkness (1 is black): a clip of a faded or lost picture.
        min_sharpness (`float`, defaults to 5.0): variance of the Laplacian at 640 pixels of width. The calmest clip
            of the development lecture, mostly glass, has about 200; the same defocused until no nucleus is left 3.
        min_motion (`float`, defaults to 0.2): mean change between frames in grey levels below which a clip counts as
            static. A still view that is spoken about is teaching, so a static clip is dropped only where there is a
            transcript and nobody speaks.
    """

    min_tissue: float = Field(default=0.02, ge=0, le=1)
    max_black: float = Field(default=0.9, ge=0, le=1)
    min_sharpness: float = Field(default=5.0, ge=0)
    min_motion: float = Field(default=0.2, ge=0)


class CurateSettings(Settings):
    """Everything `curate` can be told.

    Args:
        blocks (`tuple[str, ...]`): the steps, in order: standard ones by name, your own as `package.module:Class`, a
            subclass of `curation.block.Block`.
        own (`dict`): sections for blocks of your own, by their name.
        max_failed_videos (`float`, defaults to 0.5): share of the inputs that may be unreadable before the run, having
            finished the others, fails.
    """

    blocks: tuple[str, ...] = ("probe", "transcribe", "segment", "read", "clip", "case", "quality")
    own: dict[str, dict[str, Any]] = Field(default_factory=dict)
    probe: ProbeSettings = ProbeSettings()
    transcript: TranscriptSettings = TranscriptSettings()
    segments: SegmentSettings = SegmentSettings()
    tissue: TissueSettings = TissueSettings()
    persons: PersonSettings = PersonSettings()
    screen_text: ScreenTextSettings = ScreenTextSettings()
    cases: CaseSettings = CaseSettings()
    clips: ClipSettings = ClipSettings()
    quality: QualitySettings = QualitySettings()
    max_failed_videos: float = Field(default=0.5, ge=0, le=1)
