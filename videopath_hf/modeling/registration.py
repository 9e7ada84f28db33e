"""Makes the Auto classes of transformers know our classes, whichever of the two packages is imported first.

Our modules register their classes when they are imported. They must not be imported from a hook, though: transformers'
modules import one another, and the hook of one runs while another is half-initialised. So the hook leaves a note in
the Auto class's mapping instead, and the first look-up that concerns us imports the module.
"""

from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

MODEL_TYPE = "videopath_llava"


class _OnDemand(dict[Any, Any]):
    """Registered entries of an Auto mapping, read by model type or configuration class, or all together."""

    def __init__(self, entries: dict[Any, Any], module: str) -> None:
        super().__init__(entries)
        self._module = module

    def _load(self) -> None:
        import_module(self._module)

    def _load_if_ours(self, key: Any) -> None:
        if key == MODEL_TYPE or getattr(key, "model_type", None) == MODEL_TYPE:
            self._load()

    def __contains__(self, key: object) -> bool:
        self._load_if_ours(key)
        return super().__contains__(key)

    def __getitem__(self, key: Any) -> Any:
        self._load_if_ours(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        self._load()
        return super().__iter__()

    def __len__(self) -> int:
        self._load()
        return super().__len__()

    def keys(self) -> Any:
        self._load()
        return super().keys()

    def values(self) -> Any:
        self._load()
        return super().values()

    def items(self) -> Any:
        self._load()
        return super().items()


def _note(mapping: Any, module: str) -> None:
    if not isinstance(mapping._extra_content, _OnDemand):
        mapping._extra_content = _OnDemand(mapping._extra_content, f"videopath_hf.modeling.{module}")


def register_config(module: ModuleType) -> None:
    """Make `AutoConfig` know us; `module` is transformers' `configuration_auto`."""
    _note(module.CONFIG_MAPPING, "configuration_videopath_llava")


def register_models(module: ModuleType) -> None:
    """Make `AutoModel` and its kin know us; `module` is transformers' `modeling_auto`."""
    for auto in (module.AutoModel, module.AutoModelForImageTextToText, module.AutoModelForMultimodalLM):
        _note(auto._model_mapping, "modeling_videopath_llava")


def register_image_processor(module: ModuleType) -> None:
    """Make `AutoImageProcessor` know us; `module` is transformers' `image_processing_auto`."""
    _note(module.IMAGE_PROCESSOR_MAPPING, "image_processing_videopath_llava")


def register_video_processor(module: ModuleType) -> None:
    """Make `AutoVideoProcessor` know us; `module` is transformers' `video_processing_auto`."""
    _note(module.VIDEO_PROCESSOR_MAPPING, "video_processing_videopath_llava")


def register_processor(module: ModuleType) -> None:
    """Make `AutoProcessor` know us; `module` is transformers' `processing_auto`."""
    _note(module.PROCESSOR_MAPPING, "processing_videopath_llava")
