"""Settings of curation, one section a block. Thresholds were chosen on the team's synthetic development lecture
(90 s, 720p, two cases) and on 23 whole-slide crops; where a number has another reason, the docstring says it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from videopath_hf.curation.decisions import Decisions
from videopath_hf.settings import Settings

DEFAULT_THRESHOLDS = {
    # PySceneDetect 0.7's own
    "adaptive": 3.0,
    "content": 27.0,
    "histogram": 0.20,
    "hash": 0.35,
    # of their publications
    "transnetv2": 0.5,
    "autoshot": 0.296,
    "keyframes": 0.5,
}


Engine = Literal["auto", "openvino", "onnxruntime"]
"""What runs networks: ONNX Runtime in float32, which gives the same figures on every machine; OpenVINO in the numbers
that suit the processor; `auto`: OpenVINO where the processor computes in bfloat16, which takes half the time and moves
scores by up to 0.02, else ONNX Runtime."""


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
            (openai-whisper), `"faster-whisper"`, `"none"`, or `"auto"`: the sidecar, else faster-whisper or
            openai-whisper where the model is on disk, else none.
        whisper_model (`str`, defaults to `"base"`): a model's size by name, or the path of a .pt file
            (openai-whisper) or of a CTranslate2 folder (faster-whisper). It is never downloaded.
        language (`str`, *optional*): language code of the speech; taken from the first speech if omitted.
        device (`str`, defaults to `"auto"`): `"cpu"`, `"cuda"`, or `"auto"`: CUDA where there is one.
        voice_threshold (`float`, defaults to 0.5): probability of Silero's voice detector from which sound is speech
            and is given to the recognizer, its authors' own; 0 takes all sound for speech.
        correct (`str`, defaults to `"speech"`): whose misheard pathology terms are corrected: `"speech"` what was
            recognized, `"all"` subtitle files too, `"none"` nothing.
        vocabulary (`str`, *optional*): a text file of further terms, see `vocabulary.load_vocabulary`.
    """

    backend: Literal["auto", "sidecar", "whisper", "faster-whisper", "none"] = "auto"
    whisper_model: str = Field(default="base", min_length=1)
    language: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    voice_threshold: float = Field(default=0.5, ge=0, lt=1)
    correct: Literal["speech", "all", "none"] = "speech"
    vocabulary: str | None = None


class SegmentSettings(Settings):
    """How a lecture is cut into segments.

    Args:
        detector (`str`, defaults to `"adaptive"`): PySceneDetect's `"adaptive"`, `"content"`, `"histogram"` or
            `"hash"`; `"transnetv2"` (extra `transnetv2`) or `"autoshot"` (a weights file of yours), networks; or
            `"keyframes"`, a segment for each view.
        threshold (`float`, *optional*): the detector's own default if omitted, see `DEFAULT_THRESHOLDS`.
        weights (`str`, *optional*): AutoShot's checkpoint file.
        transitions (`bool`, defaults to `True`): add what detectors of single jumps miss: dissolves, fades, and cuts
            between pictures of like colours; and leave out cuts of PySceneDetect that change hardly more than hues.
        min_seconds (`float`, defaults to 0.6): shortest segment, PySceneDetect's 15 frames at 25 fps.
        min_still (`float`, defaults to 1.0): seconds the view must stay to count as still.
        sample_fps (`float`, defaults to 2.0): frames a second whose colours are measured.
        width (`int`, defaults to 320): frames are scaled down to this width to measure their colours.
    """

    detector: Literal["adaptive", "content", "histogram", "hash", "transnetv2", "autoshot", "keyframes"] = "adaptive"
    threshold: float | None = Field(default=None, gt=0)
    weights: str | None = None
    transitions: bool = True
    min_seconds: float = Field(default=0.6, gt=0)
    min_still: float = Field(default=1.0, gt=0)
    sample_fps: float = Field(default=2.0, gt=0)
    width: int = Field(default=320, ge=64)


class DetectorSettings(Settings):
    """A block that may use a YOLO model of the user's.

    Args:
        weights (`str`, *optional*): the YOLO model, `.onnx` (holds no code) or `.pt`.
        trust_weights (`bool`, defaults to `False`): open a `.pt` file, which can run any code.
    """

    backend: str
    weights: str | None = None
    trust_weights: bool = False

    @model_validator(mode="after")
    def _yolo_has_weights(self) -> "DetectorSettings":
        if self.backend == "yolo" and not self.weights:
            raise ValueError("backend yolo needs weights: the path of a YOLO model, .onnx or .pt")
        return self


class TissueSettings(DetectorSettings):
    """When a frame shows tissue; all are shares of the frame, see `tissue.Colours`.

    Args:
        min_tissue (`float`, defaults to 0.02): stained area. The smallest overview of 23 slides has 0.065.
        min_slide (`float`, defaults to 0.65): stain and glass together. Slides with a minimap, a label and an inset
            keep 0.96; a presenter before a blurred wall has 0.6.
        max_plain (`float`, defaults to 0.5): painted background. Slides stay below 0.1; title slides have 0.9.
        max_darkness (`float`, defaults to 0.75): 1 is black. Dense stain at high power reaches 0.52.
        title_plain (`float`, defaults to 0.75): painted background from which a frame is a title slide.
        backend (`str`, defaults to `"colour"`): what says where in a tissue segment the slide lies: `"colour"`, its
            colours, edges and movement, or `"yolo"`, a model with a class `tissue`; `recipes/tissue_detector` trains
            one. Ultralytics and its models are AGPL-3.0.
        crop (`bool`, defaults to `True`): cut clips down to the slide: side panels, toolbars and black bars go.
        crop_margin (`int`, defaults to 0): pixels that are kept around the slide.
        thumbnails (`bool`, defaults to `True`): mask minimaps and slide thumbnails that lie on the slide.
    """

    min_tissue: float = Field(default=0.02, ge=0, le=1)
    min_slide: float = Field(default=0.65, ge=0, le=1)
    max_plain: float = Field(default=0.5, ge=0, le=1)
    max_darkness: float = Field(default=0.75, ge=0, le=1)
    title_plain: float = Field(default=0.75, ge=0, le=1)
    backend: Literal["colour", "yolo"] = "colour"
    crop: bool = True
    crop_margin: int = Field(default=0, ge=0)
    thumbnails: bool = True


class PersonSettings(DetectorSettings):
    """How presenters are found and hidden.

    Args:
        enabled (`bool`, defaults to `True`): look for presenters at all.
        backend (`str`, defaults to `"faces"`): CenterFace (MIT), which comes with the package, or `"yolo"`, a model
            with a class `person`. Ultralytics and its models are AGPL-3.0.
        engine (`str`, defaults to `"auto"`): what runs CenterFace, see `Engine`.
        min_score (`float`, defaults to 0.55): how sure a hit must be. Of 70 pictures of real tissue at four scales
            none has a hit above 0.49; faces of 20 pixels and more, turned aside too, score 0.6 to 0.9.
        interval (`float`, defaults to 2.0): seconds between two looks at whole frames. A presenter is followed in
            all frames between them.
        width (`int`, defaults to 960): frames are scaled down to this width for a look; at 960 of a 1280-pixel frame
            insets from 120 pixels of height on are all found, smaller ones by the close look at foreign colours.
        min_face (`float`, defaults to 0.07): width of a full-screen presenter's face as a share of the frame's width;
            smaller hits in tissue are texture.
        min_edge (`float`, defaults to 8.0): grey levels by which an inset's four sides must stand out.
        max_covered (`float`, defaults to 0.4): share of the frame that insets may hide before a segment is rejected.
    """

    enabled: bool = True
    backend: Literal["faces", "yolo"] = "faces"
    engine: Engine = "auto"
    min_score: float = Field(default=0.55, ge=0.3, le=1)
    interval: float = Field(default=2.0, gt=0)
    width: int = Field(default=960, ge=160)
    min_face: float = Field(default=0.07, gt=0, le=1)
    min_edge: float = Field(default=8.0, gt=0)
    max_covered: float = Field(default=0.4, gt=0, le=1)


DoctrArchitecture = Literal[
    "db_mobilenet_v3_large", "db_resnet34", "db_resnet50", "linknet_resnet18", "linknet_resnet34", "linknet_resnet50"
]


class ScreenTextSettings(Settings):
    """How burned-in text is found and painted out.

    Args:
        backend (`str`, defaults to `"auto"`): `"rapidocr"`, `"doctr"`, `"none"`, or `"auto"`: RapidOCR where it is
            installed. `"doctr"` needs the extra of that name and weights.
        engine (`str`, defaults to `"auto"`): what runs RapidOCR's networks, see `Engine`.
        weights (`str`, *optional*): docTR detector's state dict (.pt or .safetensors). If omitted, docTR's published
            weights are used where they are in its cache; they are never downloaded.
        arch (`str`, defaults to `"linknet_resnet18"`): docTR's name of the detector.
        interval (`float`, defaults to 1.0): seconds between two readings while the picture moves; a still picture is
            read once, and again when something in it changes.
        side (`int`, defaults to 736): length of the longer side at which text is looked for while the picture moves.
            Letters on a plate are found from 18 pixels in a 720p frame on, bare ones over tissue from 24 on.
        detail_side (`int`, defaults to 960): the same for a picture at rest, where bare letters of 18 pixels are found
            too.
        min_score (`float`, defaults to 0.75): recognition score of a text's best reading. Real labels score above
            0.9; stained texture that is taken for a letter stays below.
        margin (`int`, defaults to 4): pixels by which a text's box is widened before it is painted out.
        pad_seconds (`float`, defaults to 0.3): the box is painted out this long before and after it was seen.
        method (`str`, defaults to `"telea"`): OpenCV's inpainting, `"telea"` or `"ns"`.
    """

    backend: Literal["auto", "rapidocr", "doctr", "none"] = "auto"
    engine: Engine = "auto"
    weights: str | None = None
    arch: DoctrArchitecture = "linknet_resnet18"
    interval: float = Field(default=1.0, gt=0)
    side: int = Field(default=736, ge=320)
    detail_side: int = Field(default=960, ge=320)
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
        duplicate_bits (`int`, defaults to 8): bits of 64 in which the perceptual hashes of two frames that show the
            same may differ. Of 70 pictures of 22 slides no two are nearer than 12; none of them moves more than 4
            bits when it is halved, brightened and compressed. Clips of the development lecture differ by 10 or more
            where they do not share a frame's view.
        duplicate_share (`float`, defaults to 0.5): share of a clip's frames that must be shown in another clip too
            for the two to be duplicates.
    """

    min_tissue: float = Field(default=0.02, ge=0, le=1)
    max_black: float = Field(default=0.9, ge=0, le=1)
    min_sharpness: float = Field(default=5.0, ge=0)
    min_motion: float = Field(default=0.2, ge=0)
    duplicate_bits: int = Field(default=8, ge=0, le=16)
    duplicate_share: float = Field(default=0.5, gt=0, le=1)


class ClusterSettings(Settings):
    """What a task of `--executor ray` or `slurm` asks of its cluster; a task is one lecture.

    Args:
        cpus (`int`, defaults to 1): cores of a task.
        memory_gb (`int`, defaults to 2): memory for each core, in GiB.
        partition (`str`, *optional*): Slurm's partition, which it must be told.
        time (`str`, defaults to `"24:00:00"`): longest time of a Slurm task.
        env_command (`str`, *optional*): shell line that makes this Python ready in a Slurm job; if omitted, the
            virtual environment that `videopath` runs in is activated.
        sbatch (`dict[str, str]`): more options of sbatch, e.g. `{"account": "pathology"}`.
    """

    cpus: int = Field(default=1, ge=1)
    memory_gb: int = Field(default=2, ge=1)
    partition: str = ""
    time: str = "24:00:00"
    env_command: str | None = None
    sbatch: dict[str, str] = Field(default_factory=dict)


class CurateSettings(Settings):
    """Everything `curate` can be told.

    Args:
        blocks (`tuple[str, ...]`): the steps, in order: standard ones by name, your own as `package.module:Class`, a
            subclass of `curation.block.Block`.
        own (`dict`): sections for blocks of your own, by their name.
        decisions (`dict[str, Decisions]`): segments as a person left them, by the SHA-256 of the video;
            `curate --decisions` reads them from files.
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
    cluster: ClusterSettings = ClusterSettings()
    decisions: dict[str, Decisions] = Field(default_factory=dict)
    max_failed_videos: float = Field(default=0.5, ge=0, le=1)
