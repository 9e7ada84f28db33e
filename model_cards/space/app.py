"""A Space: `videopath app` on the port that Spaces look at, told by the Space's variables what to do."""

import os
import sys

from videopath_hf.cli.main import main

PORT = 7860


def arguments(environment: "os._Environ[str] | dict[str, str]") -> list[str]:
    """The command line that a Space's variables stand for; raises `SystemExit` where none names a model."""
    if not environment.get("VIDEOPATH_MODEL"):
        raise SystemExit("set the variable VIDEOPATH_MODEL in the Space's settings to the id of a model on the Hub")
    given = ["app", "--host", "0.0.0.0", "--port", environment.get("GRADIO_SERVER_PORT", str(PORT))]
    for name in ("model", "revision", "compare", "quantization"):
        if value := environment.get(f"VIDEOPATH_{name.upper()}"):
            given += [f"--{name}", value]
    for setting in environment.get("VIDEOPATH_APP_SETTINGS", "").split():
        given += ["--set", setting]
    return given


if __name__ == "__main__":
    sys.argv[1:] = arguments(os.environ)
    main()
