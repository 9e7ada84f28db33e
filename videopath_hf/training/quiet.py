"""Libraries that keep to themselves what is no news to the user."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Bars and advice of the libraries off for a while: a run speaks through `note` and its own bar.

    What they print all the same goes to stderr: stdout carries data.
    """
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        # TRL and peft use names that transformers has replaced.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        try:
            yield
        finally:
            if shown:
                logging.enable_progress_bar()
