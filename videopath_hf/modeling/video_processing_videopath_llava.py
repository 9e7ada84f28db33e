"""Videos to pixel values: frames chosen and decoded by this package, resized bitwise as the published code does."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import PILImageResampling, SizeDict
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.processing_utils import VideosKwargs
from transformers.utils import TensorType
from transformers.video_utils import VideoMetadata

from videopath_hf.video.backends import choose_backend, cpus
from videopath_hf.video.decode import read_frames
from videopath_hf.video.fetch import local_video
from videopath_hf.video.frame_index import frame_index
from videopath_hf.video.sampling import sample_indices

from .configuration_videopath_llava import VideoPathLlavaConfig
from .image_processing_videopath_llava import (
    Pixels,
    check_options,
    pixel_values,
    resize_pixels,
)
from .remote_code_videopath_llava import PROCESSOR_CLASSES, CarriesCode
from .videos_videopath_llava import (
    Indices,
    VideoPathVideoMetadata,
    flatten_videos,
    is_file,
    list_metadata,
    take_frames,
)

Sampling = Literal["uniform", "fps"]
Decoder = Literal["pyav", "decord", "torchcodec", "auto"]


class VideoPathLlavaVideoProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    r"""
    sampling (`str`, *optional*):
        `"uniform"`: `num_frames` evenly spaced frames; `"fps"`: `fps` frames a second (1 by default), and evenly
        spaced ones where these are more than `num_frames`. Giving `fps` chooses `"fps"`.
    decoder (`str`, *optional*):
        `"pyav"`, `"decord"`, `"torchcodec"`, or `"auto"` for the first that works on the machine; all give the same.
    time_sentence (`bool`, *optional*):
        Whether the text says, after each video, how long it is and at which times its frames stand, in the words that
        LLaVA-Video and the published implementation use.
    """

    sampling: Sampling | None
    decoder: Decoder | None
    time_sentence: bool | None


class VideoPathLlavaVideoProcessor(CarriesCode, LlavaOnevisionVideoProcessor):
    r"""
    Takes `num_frames` frames (32) of each video, all of a shorter one, and resizes each with PIL's bicubic filter.

    Videos are paths, web addresses, the bytes of a file, uint8 arrays or tensors [F, H, W, 3] (or [F, 3, H, W]), or
    lists of PIL images or arrays; `do_sample_frames=False` takes all frames of each. Returned are
    `pixel_values_videos` float32 [videos, frames, 3, S, S] (zero frames fill up), `video_num_frames` [videos] and,
    with `return_metadata=True`, `video_metadata`: a [`VideoPathVideoMetadata`] for each, with `frames_indices` and
    `timestamps`.
    """

    auto_classes = PROCESSOR_CLASSES
    model_input_names = ["pixel_values_videos", "video_num_frames"]  # noqa: RUF012
    valid_kwargs = VideoPathLlavaVideoProcessorKwargs
    image_mean = [0.5, 0.5, 0.5]  # noqa: RUF012
    image_std = [0.5, 0.5, 0.5]  # noqa: RUF012
    do_sample_frames = True
    num_frames = 32
    sampling: Sampling = "uniform"
    decoder: Decoder = "pyav"
    time_sentence = False

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        """Pixel values of one video or a list of videos; the keyword arguments override the processor's own."""
        if kwargs.pop("do_sample_frames", self.do_sample_frames) is False:
            kwargs.update(num_frames=sys.maxsize, sampling="uniform", fps=None)
        check_choices(kwargs)
        return super().preprocess(videos, do_sample_frames=True, **kwargs)

    def _validate_preprocess_kwargs(self, **kwargs: Any) -> None:
        check_options(**kwargs)
        super()._validate_preprocess_kwargs(**kwargs)

    def sample_frames(
        self,
        metadata: VideoMetadata,
        num_frames: int | None = None,
        fps: float | None = None,
        sampling: Sampling | None = None,
        **kwargs: Any,
    ) -> Indices:
        """Numbers of the frames to take of a video.

        Raises:
            ValueError: if frames are to be taken by time and the video's own frames per second are not known.
        """
        strategy: Sampling = "fps" if fps is not None else sampling or self.sampling
        if strategy == "fps" and not metadata.fps:
            raise ValueError(
                "frames given as pixels carry no time: pass video_metadata with fps, or sampling='uniform'"
            )
        taken = num_frames or self.num_frames
        return sample_indices(metadata.total_num_frames, metadata.fps or 1.0, taken, strategy, fps or 1.0)

    def fetch_videos(
        self,
        video_url_or_urls: Any,
        sample_indices_fn: Callable[..., Indices] | None = None,
        decoder: Decoder | None = None,
        transform: Callable[[Pixels], Pixels] | None = None,
    ) -> Any:
        """Decode the frames of a video, or of each of a list of videos, that `sample_indices_fn` names (or all).

        Args:
            video_url_or_urls (`str`, `Path`, `bytes` or a list of them): files, web addresses or files' contents.
            sample_indices_fn (`Callable`, *optional*): gives frame numbers for a [`VideoPathVideoMetadata`].
            decoder (`str`, *optional*): the processor's own if omitted.
            transform (`Callable`, *optional*): what to make of each frame as soon as it is decoded.

        Returns:
            `tuple[np.ndarray, VideoPathVideoMetadata]`, or a list of them: frames are uint8 [F, H, W, 3] RGB.

        Raises:
            VideoError: for a file that is missing, no video or damaged, and an address that does not answer.
        """
        if isinstance(video_url_or_urls, list):
            return [self.fetch_videos(video, sample_indices_fn, decoder, transform) for video in video_url_or_urls]
        chosen = choose_backend(decoder or self.decoder)
        sizes: list[tuple[int, ...]] = []

        def keep(frame: Pixels) -> Pixels:
            sizes.append(frame.shape)
            return frame if transform is None else transform(frame)

        with local_video(video_url_or_urls) as path:
            times = frame_index(path).times
            span = float(times[-1] - times[0])
            fps = (len(times) - 1) / span if span > 0 else 1.0
            metadata = VideoPathVideoMetadata(
                total_num_frames=len(times), fps=fps, duration=span + 1 / fps, video_backend=chosen
            )
            indices = np.arange(len(times)) if sample_indices_fn is None else sample_indices_fn(metadata)
            frames = read_frames(path, indices.tolist(), chosen, keep)  # type: ignore[arg-type]
        metadata.frames_indices, metadata.times = indices.tolist(), times[indices].tolist()
        metadata.height, metadata.width = sizes[0][:2]
        return frames, metadata

    def squash(self, frame: Pixels) -> Pixels:
        """One frame uint8 [H, W, 3] as the tower's input has it, uint8 [S, S, 3]."""
        return _squash(self.size, self.resample)(frame)

    def sample_video(
        self, video: Any, metadata: VideoMetadata | None = None, **options: Any
    ) -> tuple[Pixels, VideoMetadata]:
        """The frames that the model is to see of one video, squashed to its input, and what is known of them.

        `preprocess` makes the same of the result, with `do_sample_frames=False`, as of the video itself.

        Args:
            video: whatever `preprocess` takes.
            metadata ([`~transformers.video_utils.VideoMetadata`], *optional*): of a video given as pixels.
            options: `preprocess`'s keyword arguments, to override the processor's own.

        Returns:
            `tuple[np.ndarray, VideoMetadata]`: uint8 [F, S, S, 3], and the metadata with `frames_indices`.
        """
        chosen = {
            name: getattr(self, name) for name in ("num_frames", "fps", "sampling", "decoder", "size", "resample")
        }
        chosen.update({name: value for name, value in options.items() if value is not None})
        frames, found = self._decode_and_sample_videos(
            [video], metadata, sample_indices_fn=partial(self.sample_frames, **chosen)
        )
        squash = _squash(chosen["size"], chosen["resample"])
        return np.stack([squash(frame) for frame in frames[0]]), found[0]

    def _decode_and_sample_videos(
        self,
        videos: Any,
        video_metadata: Any,
        do_sample_frames: bool | None = None,
        sample_indices_fn: Callable[..., Indices] | None = None,
    ) -> tuple[list[Pixels], list[VideoMetadata]]:
        videos = flatten_videos(videos)
        given = list_metadata(video_metadata, len(videos))
        options = sample_indices_fn.keywords if isinstance(sample_indices_fn, partial) else {}
        # Frames are made small by the thread that decodes them; to resize them again later changes nothing.
        squash = _squash(options["size"], options["resample"]) if "size" in options else None
        frames, metadata = [], []
        for video, known in zip(videos, given, strict=True):
            if is_file(video):
                pixels, found = self.fetch_videos(video, sample_indices_fn, options.get("decoder"), squash)
            else:
                pixels, found = take_frames(video, known, sample_indices_fn)
            frames.append(pixels)
            metadata.append(found)
        return frames, metadata

    def _prepare_input_videos(self, videos: list[Pixels], **kwargs: Any) -> list[Pixels]:
        return videos

    def _preprocess(
        self,
        videos: list[Pixels],
        size: SizeDict,
        resample: PILImageResampling,
        do_rescale: bool,
        rescale_factor: float,
        do_normalize: bool,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        return_tensors: str | TensorType | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        squash = _squash(size, resample)
        sides = (size.height, size.width)
        if all(frame.shape[:2] == sides for video in videos for frame in video):  # as they are where we decode
            squashed = [list(video) for video in videos]
        else:
            with ThreadPoolExecutor(cpus()) as pool:
                squashed = [list(pool.map(squash, video)) for video in videos]
        values = pixel_values(squashed, do_rescale, rescale_factor, do_normalize, image_mean, image_std)
        data = {
            "pixel_values_videos": values,
            "video_num_frames": np.array([len(video) for video in squashed]),
        }
        return BatchFeature(data=data, tensor_type=return_tensors)


def check_choices(options: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a way of choosing or decoding frames that there is not, naming those that there are."""
    for name, accepted in (("sampling", get_args(Sampling)), ("decoder", get_args(Decoder))):
        if options.get(name) not in (None, *accepted):
            raise ValueError(f"{name} is {options[name]!r}; accepted are {', '.join(accepted)}")
    frames, fps = options.get("num_frames"), options.get("fps")
    if isinstance(frames, int) and frames < 1:
        raise ValueError(f"num_frames is {frames}; at least 1 is needed")
    if isinstance(fps, (int, float)) and not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0")


def _squash(size: Any, resample: int) -> Callable[[Pixels], Pixels]:
    """Resizes a frame to the tower's input as the published implementation does, not keeping its shape."""
    sides = size if isinstance(size, SizeDict) else SizeDict(**size)
    check_options(sides)
    return partial(resize_pixels, size=(sides.height, sides.width), resample=resample)


AutoVideoProcessor.register(VideoPathLlavaConfig, VideoPathLlavaVideoProcessor, exist_ok=True)

__all__ = ["VideoPathLlavaVideoProcessor", "VideoPathVideoMetadata"]
