"""Importing optional packages without what some of them do to the process."""

import importlib
import os
from types import ModuleType


def import_quietly(module: str) -> ModuleType:
    """Import a module and undo what it does to Pillow.

    Importing ultralytics replaces `PIL.Image.open`, for the whole process, by one that runs pip for `pi-heif` when a
    picture cannot be read, and fails where that is not to be had.

    Raises:
        ImportError: as the import does.
    """
    from PIL import Image

    os.environ["YOLO_AUTOINSTALL"] = "false"
    opened = Image.open
    try:
        return importlib.import_module(module)
    finally:
        Image.open = opened
