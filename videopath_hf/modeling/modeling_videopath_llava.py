"""The VideoPath-LLaVA model: transformers' tower, projector and decoder, joined as the published code does."""

import copy
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessorList
from transformers.cache_utils import Cache
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.auto.modeling_auto import AutoModel, AutoModelForImageTextToText, AutoModelForMultimodalLM
from transformers.models.llava_onevision.modeling_llava_onevision import (
    LlavaOnevisionCausalLMOutputWithPast,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionModel,
    LlavaOnevisionModelOutputWithPast,
    LlavaOnevisionPreTrainedModel,
)

from .checks_videopath_llava import check_loaded
from .configuration_videopath_llava import VideoPathLlavaConfig
from .packing_videopath_llava import check_placeholders, drop_padding, num_tiles, pack_image, pack_video

FOREIGN_NAMES = {
    "llava_next": {
        r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.vision_tower.",
        r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
        r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
        r"^model\.(layers\.|embed_tokens\.|norm\.)": r"model.language_model.\1",
    },
    # Before and after transformers 4.52, which put everything but the head below `model.`.
    "llava_onevision": {
        r"^(?:model\.)?vision_tower\.(?:vision_model\.)?": "model.vision_tower.",
        r"^(?:model\.)?multi_modal_projector\.": "model.multi_modal_projector.",
        r"^(?:model\.)?image_newline$": "model.image_newline",
        r"^language_model\.model\.": "model.language_model.",
        r"^(?:language_model\.)?lm_head\.": "lm_head.",
    },
}
"""Patterns of the names of weights in the published implementation's and llava-hf's layouts, and ours."""


class _Tiles(NamedTuple):
    """Inputs of the tower, (tiles, 3, S, S): so many of each image of a size (height, width), or of each video."""

    name: str
    pixels: torch.Tensor
    counts: list[int]
    sizes: list[tuple[int, int]] | None


class VideoPathLlavaPreTrainedModel(LlavaOnevisionPreTrainedModel):
    """Weights saved under the names they are loaded by."""

    config_class = VideoPathLlavaConfig
    config: VideoPathLlavaConfig

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """[`~PreTrainedModel.save_pretrained`] that keeps our key names.

        Its default writes the names of the checkpoint that was converted on load, if any: such a folder would reload
        with every weight missing.
        """
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(save_directory, *args, **kwargs)


class VideoPathLlavaModel(VideoPathLlavaPreTrainedModel, LlavaOnevisionModel):
    r"""
    Vision tower, projector and language model without its head.

    Images and videos are given as the processor returns them: `pixel_values` [images, tiles, 3, S, S] with
    `image_sizes` [images, 2] (height, width) and `image_num_tiles` [images]; `pixel_values_videos`
    [videos, frames, 3, S, S] with `video_num_frames` [videos]. What the counts leave over is padding and never seen.
    Without `image_num_tiles` an image has the tiles its size calls for, without `video_num_frames` every frame counts.
    """

    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor,
        image_num_tiles: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Encode and pack images; `pooler_output` is a list of one tensor (tokens, dim) for each image."""
        tiles = self._image_tiles(pixel_values, image_sizes, image_num_tiles)
        features, outputs = self._encode(tiles.pixels, vision_feature_layer, vision_feature_select_strategy, **kwargs)
        outputs.pooler_output = self._pack(features, tiles)
        return outputs

    def get_video_features(
        self,
        pixel_values_videos: torch.Tensor,
        video_num_frames: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Encode, pool and pack videos; `pooler_output` is a list of one tensor (tokens, dim) for each video."""
        tiles = self._video_tiles(pixel_values_videos, video_num_frames)
        features, outputs = self._encode(tiles.pixels, vision_feature_layer, vision_feature_select_strategy, **kwargs)
        outputs.pooler_output = self._pack(features, tiles)
        return outputs

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        image_num_tiles: torch.LongTensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_num_frames: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        use_cache: bool | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,
    ) -> LlavaOnevisionModelOutputWithPast:
        """Replace the placeholders by the tokens of images and videos, then run the language model.

        Raises:
            ValueError: if a sample's placeholders are not as many as the tokens of its media; it names the sample.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        given = {name: found for name, found in (mm_encoder_outputs or {}).items() if found is not None}
        seen: dict[str, Any] = {name: found.pooler_output for name, found in given.items()}
        tiles = []
        if pixel_values is not None:
            tiles.append(self._image_tiles(pixel_values, image_sizes, image_num_tiles))
        if pixel_values_videos is not None:
            tiles.append(self._video_tiles(pixel_values_videos, video_num_frames))
        if self.training and not seen and not tiles:
            tiles.append(self._unseen_tile())
        seen.update(self._look(tiles, vision_feature_layer, vision_feature_select_strategy))
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if "unseen" in seen:
            inputs_embeds = inputs_embeds + 0 * seen["unseen"][0].sum().to(inputs_embeds)
        shown: dict[str, BaseModelOutputWithPooling] = {}
        for name, token in (("image", self.config.image_token_id), ("video", self.config.video_token_id)):
            if seen.get(name) is None:
                continue
            mask = self._placeholders(token, input_ids, inputs_embeds)
            check_placeholders(name, mask, seen[name])
            features = torch.cat(list(seen[name])).to(inputs_embeds.device, inputs_embeds.dtype)
            inputs_embeds = inputs_embeds.masked_scatter(mask[..., None], features)
            shown[name] = given.get(name) or BaseModelOutputWithPooling(pooler_output=seen[name])
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        return LlavaOnevisionModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state,
            cache=outputs.cache,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_outputs=shown.get("image"),
            video_outputs=shown.get("video"),
        )

    def _image_tiles(self, pixel_values: torch.Tensor, image_sizes: Any, image_num_tiles: Any) -> "_Tiles":
        sizes = [(int(height), int(width)) for height, width in torch.as_tensor(image_sizes).tolist()]
        if image_num_tiles is None:
            counts = [num_tiles(size, self.config.layout) for size in sizes]
        else:
            counts = torch.as_tensor(image_num_tiles).tolist()
        return _Tiles("image", drop_padding(pixel_values, counts), counts, sizes)

    def _video_tiles(self, pixel_values_videos: torch.Tensor, video_num_frames: Any) -> "_Tiles":
        videos, frames = pixel_values_videos.shape[:2]
        counts = [frames] * videos if video_num_frames is None else torch.as_tensor(video_num_frames).tolist()
        return _Tiles("video", drop_padding(pixel_values_videos, counts), counts, None)

    def _unseen_tile(self) -> "_Tiles":
        """A black tile that changes nothing: without it, a batch of text would leave the other ranks waiting.

        Sharded weights are gathered by all ranks together, and gradients summed over all of them, whatever each sees.
        """
        tile = self.config.layout.tile
        black = torch.zeros(1, 3, tile, tile, device=self.image_newline.device)
        return _Tiles("unseen", black, [1], [(tile, tile)])

    def _look(
        self, tiles: "list[_Tiles]", layer: int | list[int] | None, strategy: str | None
    ) -> dict[str, list[torch.Tensor]]:
        """Tokens of all media by kind, in one pass of the tower: as many passes on every rank, whatever it sees."""
        if not tiles:
            return {}
        features, _ = self._encode(torch.cat([kind.pixels for kind in tiles]), layer, strategy)
        parts = features.split([sum(kind.counts) for kind in tiles])
        return {kind.name: self._pack(part, kind) for kind, part in zip(tiles, parts, strict=True)}

    def _pack(self, features: torch.Tensor, tiles: "_Tiles") -> list[torch.Tensor]:
        layout = self.config.layout
        newline = self.image_newline.to(features.device, features.dtype)
        media = features.split(tiles.counts)
        if tiles.sizes is None:
            return [pack_video(video, newline, layout) for video in media]
        return [pack_image(image, size, newline, layout) for image, size in zip(media, tiles.sizes, strict=True)]

    def _encode(
        self, tiles: torch.Tensor, layer: int | list[int] | None, strategy: str | None, **kwargs: Any
    ) -> tuple[torch.Tensor, BaseModelOutputWithPooling]:
        """Projected features (tiles, tokens, dim) of tiles (tiles, 3, S, S), and what the tower returned.

        Tiles of one channel (tiles, 1, tokens, dim) are what `tower_features` gave of them before.
        """
        if tiles.shape[1] == 1:
            dtype = next(self.multi_modal_projector.parameters()).dtype
            return self.multi_modal_projector(tiles[:, 0].to(dtype)), BaseModelOutputWithPooling()
        features, outputs = self.tower_features(tiles, layer, strategy, **kwargs)
        return self.multi_modal_projector(features), outputs

    def tower_features(
        self, tiles: torch.Tensor, layer: int | list[int] | None = None, strategy: str | None = None, **kwargs: Any
    ) -> tuple[torch.Tensor, BaseModelOutputWithPooling]:
        """What the projector sees (tiles, tokens, dim) of tiles (tiles, 3, S, S), and all that the tower returned."""
        layer = self.config.vision_feature_layer if layer is None else layer
        strategy = strategy or self.config.vision_feature_select_strategy
        kwargs.pop("return_dict", None)
        kwargs["output_hidden_states"] = kwargs.get("output_hidden_states") or layer
        outputs = self.vision_tower(tiles.to(self.vision_tower.dtype), return_dict=True, **kwargs)
        layers = [layer] if isinstance(layer, int) else layer
        features = torch.cat([outputs.hidden_states[index] for index in layers], dim=-1)
        if strategy == "default":  # without the class token
            features = features[:, 1:]
        return features, outputs

    def _placeholders(self, token: int, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor) -> torch.Tensor:
        if input_ids is not None:
            return (input_ids == token).to(inputs_embeds.device)
        embedding = self.get_input_embeddings()(torch.tensor(token, device=inputs_embeds.device))
        return (inputs_embeds == embedding).all(-1)


class VideoPathLlavaForConditionalGeneration(VideoPathLlavaPreTrainedModel, LlavaOnevisionForConditionalGeneration):
    """[`VideoPathLlavaModel`] with the language model's head: answers questions about images and videos."""

    def __init__(self, config: VideoPathLlavaConfig) -> None:
        super(LlavaOnevisionForConditionalGeneration, self).__init__(config)
        self.model = VideoPathLlavaModel(config)
        text = config.text_config
        self.lm_head = torch.nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """[`~PreTrainedModel.from_pretrained`] that never fills weights with random numbers.

        A checkpoint of the published implementation or of llava-hf (folder or Hub id) opens directly.

        Raises:
            CheckpointError: if a weight is missing, left over or misshapen. With `output_loading_info=True` there is
                no error: whoever asks for the report reads it.
        """
        asked = kwargs.pop("output_loading_info", False)
        known = kwargs.get("config") is not None or pretrained_model_name_or_path is None
        source = None if known else _foreign_source(pretrained_model_name_or_path, kwargs)
        path = pretrained_model_name_or_path
        if source is not None:
            path = source.folder
            kwargs = {"config": source.config, "key_mapping": FOREIGN_NAMES[source.layout], **kwargs}
        model, report = super().from_pretrained(path, *args, output_loading_info=True, **kwargs)
        if source is not None:
            model.generation_config = source.generation
            for name in source.added:
                model.get_parameter(name).data.zero_()
                report["missing_keys"].discard(name)
            report["unexpected_keys"] = source.unexplained(report["unexpected_keys"])
        if not asked:
            check_loaded(pretrained_model_name_or_path, report)
        return (model, report) if asked else model

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.LongTensor | None = None,
        image_num_tiles: torch.LongTensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        video_num_frames: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        vision_feature_layer: int | list[int] | None = None,
        vision_feature_select_strategy: str | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,
    ) -> LlavaOnevisionCausalLMOutputWithPast:
        """The parent's forward under our inputs' names: `generate` accepts only what stands in this signature.

        All that is special about this model is in [`VideoPathLlavaModel`], since TRL's fused head skips this method.
        """
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            image_num_tiles=image_num_tiles,
            pixel_values_videos=pixel_values_videos,
            video_num_frames=video_num_frames,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=cache,
            inputs_embeds=inputs_embeds,
            vision_feature_layer=vision_feature_layer,
            vision_feature_select_strategy=vision_feature_select_strategy,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )

    def _get_logits_processor(
        self, generation_config: GenerationConfig, input_ids_seq_length: int | None = None, **kwargs: Any
    ) -> LogitsProcessorList:
        """The parent's, but the repetition penalty sees what was generated, not the prompt.

        The published implementation generates from embeddings, so its penalty never sees a prompt either.
        """
        penalty = generation_config.repetition_penalty
        if penalty is None or penalty == 1.0:
            return super()._get_logits_processor(generation_config, input_ids_seq_length, **kwargs)
        plain = copy.copy(generation_config)
        plain.repetition_penalty = None
        processors = super()._get_logits_processor(plain, input_ids_seq_length, **kwargs)
        own = RepetitionPenaltyLogitsProcessor(float(penalty), prompt_ignore_length=input_ids_seq_length or 0)
        processors.insert(0, own)
        return processors


def _foreign_source(path: Any, options: dict[str, Any]) -> Any:
    """The checkpoint, if it is in another layout than ours; None if it is not, or we are not installed."""
    try:
        from videopath_hf.modeling.loading import foreign_source
    except ImportError:  # this file lies beside weights: they are ours
        return None
    hub = {key: options[key] for key in ("revision", "token", "cache_dir") if options.get(key) is not None}
    return foreign_source(path, **hub)


AutoModel.register(VideoPathLlavaConfig, VideoPathLlavaModel, exist_ok=True)
AutoModelForImageTextToText.register(VideoPathLlavaConfig, VideoPathLlavaForConditionalGeneration, exist_ok=True)
AutoModelForMultimodalLM.register(VideoPathLlavaConfig, VideoPathLlavaForConditionalGeneration, exist_ok=True)

__all__ = ["VideoPathLlavaForConditionalGeneration", "VideoPathLlavaModel", "VideoPathLlavaPreTrainedModel"]
