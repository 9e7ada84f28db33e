"""Pathology video for the Hugging Face ecosystem: lecture in, clips, data, a trained model and its answers out.

Research software: nothing it prints is advice for care.

Importing this package makes the Auto classes of transformers know the `videopath_llava` model type, before or after
transformers itself is imported. Nothing heavy is imported here: `videopath --help` stays fast.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from wrapt import when_imported

try:
    __version__ = version("videopath-hf")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

if TYPE_CHECKING:
    from videopath_hf.curation.curated import load_clips as load_clips
    from videopath_hf.data.load import load_instruct as load_instruct

__all__ = ["RESEARCH_NOTICE", "__version__", "load_clips", "load_instruct"]

RESEARCH_NOTICE = "Research software: not a medical device, never advice for care."


_LAZY = {"load_clips": "videopath_hf.curation.curated", "load_instruct": "videopath_hf.data.load"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# Each mapping is filled right after the transformers module that holds it was loaded: importing all of them from one
# hook would meet half-initialised modules, since they import one another.
@when_imported("transformers.models.auto.configuration_auto")
def _register_config(module: Any) -> None:
    from videopath_hf.modeling.registration import register_config

    register_config(module)


@when_imported("transformers.models.auto.modeling_auto")
def _register_models(module: Any) -> None:
    from videopath_hf.modeling.registration import register_models

    register_models(module)


@when_imported("transformers.models.auto.image_processing_auto")
def _register_image_processor(module: Any) -> None:
    from videopath_hf.modeling.registration import register_image_processor

    register_image_processor(module)


@when_imported("transformers.models.auto.video_processing_auto")
def _register_video_processor(module: Any) -> None:
    from videopath_hf.modeling.registration import register_video_processor

    register_video_processor(module)


@when_imported("transformers.models.auto.processing_auto")
def _register_processor(module: Any) -> None:
    from videopath_hf.modeling.registration import register_processor

    register_processor(module)
