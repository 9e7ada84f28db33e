"""A Python that has `datasets` and all else that is installed, but not this package: what users of its data have."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# An editable install leaves a folder of recipes behind, which is no package.
_ALONE = "from importlib.util import find_spec\nassert not getattr(find_spec('videopath_hf'), 'loader', None)\n"


def run_plain(code: str, *arguments: str, cwd: Path, environment: Mapping[str, str]) -> str:
    """What `code` prints in such a process.

    Folders of packages are given by PYTHONPATH, where no `.pth` file is read: an editable install is not seen.
    """
    folders = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    python = getattr(sys, "_base_executable", sys.executable)
    variables = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(folders)}
    command = [python, "-c", _ALONE + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
