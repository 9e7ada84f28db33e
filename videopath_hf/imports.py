"""Importing optional packages without what some of them do to the process, and beyond it."""

import importlib
import os
import sys
from types import ModuleType
from typing import cast

_TELLING = "openvino_telemetry"


def import_quietly(module: str) -> ModuleType:
    """Import a module, undo what it does to Pillow, and let nobody know that it was imported.

    Importing ultralytics replaces `PIL.Image.open`, for the whole process, by one that runs pip for `pi-heif` when a
    picture cannot be read, and fails where that is not to be had. Importing openvino reports to its maker, from a
    fork of the process that may never end; without the package that does it, it goes on without a word.

    Raises:
        ImportError: as the import does.
    """
    from PIL import Image

    os.environ["YOLO_AUTOINSTALL"] = "false"
    sys.modules.setdefault(_TELLING, cast(ModuleType, None))  # what is None here cannot be imported
    opened = Image.open
    try:
        return importlib.import_module(module)
    finally:
        Image.open = opened
