"""Chat messages with text, images and videos to model inputs, every placeholder expanded to its exact tokens."""

from typing import Any

import numpy as np
from transformers.image_utils import is_valid_image
from transformers.models.auto.processing_auto import AutoProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.processing_utils import MultiModalData

from .configuration_videopath_llava import VideoPathLlavaConfig
from .image_reading_videopath_llava import read_images
from .packing_videopath_llava import Layout, num_image_tokens, num_tiles, num_video_tokens, parse_pinpoints
from .remote_code_videopath_llava import PROCESSOR_CLASSES, CarriesCode
from .video_processing_videopath_llava import check_choices
from .videos_videopath_llava import flatten_videos, is_video


class VideoPathLlavaProcessor(CarriesCode, LlavaOnevisionProcessor):
    r"""
    Joins a tokenizer, a [`VideoPathLlavaImageProcessor`] and a [`VideoPathLlavaVideoProcessor`].

    Args:
        image_processor ([`VideoPathLlavaImageProcessor`]): it also holds the image aspect ratio and the pinpoints.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): it must know both placeholders as one token each.
        video_processor ([`VideoPathLlavaVideoProcessor`]): it also holds how frames are chosen.
        patch_size (`int`, *optional*, defaults to 14): pixels along one side of what becomes a vision token.
        patch_merge_type (`str`, *optional*, defaults to `"spatial_unpad"`): as in [`VideoPathLlavaConfig`].
        video_newline_position (`str`, *optional*, defaults to `"one_token"`): as in [`VideoPathLlavaConfig`].
        video_pool_mode (`str`, *optional*, defaults to `"bilinear"`): as in [`VideoPathLlavaConfig`].
        video_pool_stride (`int`, *optional*, defaults to 2): as in [`VideoPathLlavaConfig`].
        chat_template (`str`, *optional*): a Jinja template.
        image_token (`str`, *optional*, defaults to `"<|image_pad|>"`): placeholder of an image.
        video_token (`str`, *optional*, defaults to `"<|video_pad|>"`): placeholder of a video.

    Example:

    ```python
    >>> messages = [{"role": "user", "content": [
    ...     {"type": "video", "path": "clip.mp4"}, {"type": "text", "text": "What is the best diagnosis?"}]}]
    >>> inputs = processor.apply_chat_template(
    ...     messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt")
    ```
    """

    auto_classes = PROCESSOR_CLASSES

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        video_processor: Any = None,
        patch_size: int = 14,
        patch_merge_type: str = "spatial_unpad",
        video_newline_position: str = "one_token",
        video_pool_mode: str = "bilinear",
        video_pool_stride: int = 2,
        chat_template: str | None = None,
        image_token: str = "<|image_pad|>",
        video_token: str = "<|video_pad|>",
        **kwargs: Any,
    ) -> None:
        self.patch_size = patch_size
        self.patch_merge_type = patch_merge_type
        self.video_newline_position = video_newline_position
        self.video_pool_mode = video_pool_mode
        self.video_pool_stride = video_pool_stride
        super().__init__(
            image_processor,
            tokenizer,
            video_processor,
            chat_template=chat_template,
            image_token=image_token,
            video_token=video_token,
        )
        for name, token in ((self.image_token, self.image_token_id), (self.video_token, self.video_token_id)):
            if token is None or token == tokenizer.unk_token_id:
                raise ValueError(f"the tokenizer does not know {name}; add it as a special token")

    @classmethod
    def from_config(
        cls, config: VideoPathLlavaConfig, tokenizer: Any, chat_template: str | None = None, **tokens: str
    ) -> "VideoPathLlavaProcessor":
        """The processor that goes with a model of `config`, with default ways of choosing frames.

        `tokens` are `image_token` and `video_token`, where the tokenizer has others than Qwen2.5's.
        """
        from .image_processing_videopath_llava import VideoPathLlavaImageProcessor
        from .video_processing_videopath_llava import VideoPathLlavaVideoProcessor

        layout = config.layout
        size = {"height": layout.tile, "width": layout.tile}
        return cls(
            image_processor=VideoPathLlavaImageProcessor(
                size=size,
                image_aspect_ratio=layout.aspect_ratio,
                image_grid_pinpoints=[list(pinpoint) for pinpoint in layout.pinpoints],
            ),
            tokenizer=tokenizer,
            video_processor=VideoPathLlavaVideoProcessor(size=size),
            patch_size=config.vision_config.patch_size,
            patch_merge_type=layout.merge_type,
            video_newline_position=layout.newline_position,
            video_pool_mode=layout.pool_mode,
            video_pool_stride=layout.pool_stride,
            chat_template=chat_template,
            **tokens,
        )

    def layout(self, **images_kwargs: Any) -> Layout:
        """Everything that decides how many tokens an image or a video becomes."""
        own = self.image_processor
        tile = own.size.height
        return Layout(
            side=tile // self.patch_size,
            tile=tile,
            aspect_ratio=images_kwargs.get("image_aspect_ratio") or own.image_aspect_ratio,
            merge_type=self.patch_merge_type,
            pinpoints=parse_pinpoints(images_kwargs.get("image_grid_pinpoints") or own.image_grid_pinpoints, tile),
            newline_position=self.video_newline_position,
            pool_mode=self.video_pool_mode,
            pool_stride=self.video_pool_stride,
        )

    def read_images(self, images: list[Any]) -> list[Any]:
        """Images given by path, address or content opened, others as they are.

        Raises:
            ValueError: for one that cannot be read; it is named.
        """
        read: list[Any] = read_images(images)
        return read

    def process_media(
        self, images: list[Any], videos: list[Any], video_metadata: list[Any]
    ) -> tuple[dict[str, Any], list[str], list[str]]:
        """Model inputs of images and already sampled videos, and the text that stands for each in a prompt."""
        inputs: dict[str, Any] = {}
        image_texts: list[str] = []
        video_texts: list[str] = []
        if images:
            processed, image_texts = self._process_images(images, return_tensors="pt")
            inputs.update(processed)
        if videos:
            options = {"do_sample_frames": False, "video_metadata": video_metadata, "return_tensors": "pt"}
            processed, video_texts = self._process_videos(videos, **options)
            inputs.update({name: value for name, value in processed.items() if name != "video_metadata"})
        return inputs, image_texts, video_texts

    def prepare_inputs_layout(
        self, images: Any = None, text: Any = None, videos: Any = None, audio: Any = None, **kwargs: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Arrange images and videos by sample, so that a wrong number of them can be told of its sample."""
        check_choices({**kwargs, **(kwargs.get("videos_kwargs") or {})})
        images, text, videos, audio = super().prepare_inputs_layout(
            images=read_images(images), text=text, videos=videos, audio=audio, **kwargs
        )
        if images is not None:
            images = _by_sample(images, text, _flatten_images, is_valid_image)
        if videos is not None:
            videos = _by_sample(videos, text, flatten_videos, is_video)
        return images or None, text, videos or None, audio

    def validate_inputs(
        self, images: Any = None, text: Any = None, videos: Any = None, audio: Any = None, **kwargs: Any
    ) -> None:
        """Raise `ValueError` naming the sample whose placeholders and media differ in number."""
        if audio is not None:
            raise ValueError(f"{type(self).__name__} takes text, images and videos, not audio")
        if text is None and images is None and videos is None:
            raise ValueError("nothing to process: give text, images or videos")
        if text is None:
            return
        for name, token, media in (("image", self.image_token, images), ("video", self.video_token, videos)):
            wanted = [sample.count(token) for sample in text]
            given = [len(items) for items in media] if media and isinstance(media[0], list) else None
            if given is None:
                if sum(wanted) != len(media or []):
                    raise ValueError(f"the text has {sum(wanted)} {token} for {len(media or [])} {name}s")
                continue
            for sample, (placeholders, items) in enumerate(zip(wanted, given, strict=True)):
                if placeholders != items:
                    raise ValueError(f"sample {sample} has {placeholders} {token} in its text for {items} {name}s")

    def _process_images(self, images: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        flat = _flatten_images(images)
        processed = self.image_processor(flat, **kwargs)
        replacements = [self.replace_image_token(processed, index, **kwargs) for index in range(len(flat))]
        return processed, replacements

    def _process_videos(self, videos: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        flat = flatten_videos(videos)
        said = kwargs.get("time_sentence")
        says_times = self.video_processor.time_sentence if said is None else said
        processed = self.video_processor(flat, **{**kwargs, "return_metadata": True})
        replacements = [self.replace_video_token(processed, index) for index in range(len(flat))]
        if says_times:
            sentences = [time_sentence(known) for known in processed["video_metadata"]]
            replacements = ["\n".join(pair) for pair in zip(replacements, sentences, strict=True)]
        return processed, replacements

    def replace_image_token(self, image_inputs: Any, image_idx: int, **kwargs: Any) -> str:
        """The placeholder of one processed image, as often as it has tokens."""
        height, width = (int(side) for side in image_inputs["image_sizes"][image_idx])
        tiles = int(image_inputs["image_num_tiles"][image_idx])
        return self.image_token * num_image_tokens((height, width), tiles, self.layout(**kwargs))

    def replace_video_token(self, video_inputs: Any, video_idx: int, **kwargs: Any) -> str:
        """The placeholder of one processed video, as often as it has tokens."""
        return self.video_token * num_video_tokens(int(video_inputs["video_num_frames"][video_idx]), self.layout())

    def _adjust_assistant_masks_indices(self, processed_dict: Any, generation_indices: Any) -> Any:
        # The parent compares every token's offsets one by one, which is slow on the elements of a tensor.
        for key in ("offset_mapping", "input_ids"):
            if hasattr(processed_dict[key], "tolist"):
                processed_dict[key] = processed_dict[key].tolist()
        return super()._adjust_assistant_masks_indices(processed_dict, generation_indices)

    def _get_num_multimodal_tokens(self, image_sizes: Any = None, video_sizes: Any = None, **kwargs: Any) -> Any:
        layout = self.layout(**kwargs)
        data: dict[str, list[int]] = {}
        if image_sizes is not None:
            tiles = [num_tiles(tuple(size), layout) for size in image_sizes]
            data["num_image_patches"] = tiles
            data["num_image_tokens"] = [
                num_image_tokens(tuple(size), count, layout) for size, count in zip(image_sizes, tiles, strict=True)
            ]
        if video_sizes is not None:
            data["num_video_tokens"] = [num_video_tokens(frames, layout) for frames, _, _ in video_sizes]
        return MultiModalData(**data)


def _flatten_images(images: Any) -> list[Any]:
    if isinstance(images, (list, tuple)):
        return [image for item in images for image in _flatten_images(item)]
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images)
    return [images]


def time_sentence(metadata: Any) -> str:
    """What a prompt says about the times of a video's frames, in the words LLaVA-Video (Apache-2.0) was trained with.

    Raises:
        ValueError: for a video whose frames per second are not known.
    """
    if not metadata.fps:
        raise ValueError("frames given as pixels carry no time: pass video_metadata with fps for the time sentence")
    times = metadata.timestamps
    seconds = metadata.duration or metadata.total_num_frames / metadata.fps
    places = ",".join(f"{time:.2f}s" for time in times)
    return (
        f"The video lasts for {seconds:.2f} seconds, and {len(times)} frames are uniformly sampled from it. These "
        f"frames are located at {places}.Please answer the following questions related to this video."
    )


def _by_sample(media: Any, text: list[str] | None, flatten: Any, is_one: Any) -> list[Any]:
    """One list of media for each text where the nesting says whose they are, else all of them in one flat list."""
    nested = isinstance(media, (list, tuple)) and all(isinstance(item, (list, tuple)) for item in media)
    if nested and text is not None and len(media) == len(text) and not is_one(media):
        return [flatten(item) for item in media]
    return flatten(media)


AutoProcessor.register(VideoPathLlavaConfig, VideoPathLlavaProcessor, exist_ok=True)

__all__ = ["VideoPathLlavaProcessor"]
