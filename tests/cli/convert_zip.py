"""Converts a zip into a folder, in a process that a test kills."""

import sys
from pathlib import Path

from videopath_hf.data.convert import convert
from videopath_hf.data.formats.registry import format_named
from videopath_hf.data.sources import open_source

if __name__ == "__main__":
    convert(open_source(Path(sys.argv[1])), Path(sys.argv[2]), format_named("videopath"))
