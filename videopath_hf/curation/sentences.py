"""From cues, which break anywhere, to sentences."""

import re
from collections.abc import Sequence
from itertools import pairwise

from videopath_hf.records import Sentence

_SENTENCE_END = re.compile(r"[.!?…][\"')\]]?\s+(?=[\"'(\[]?[A-Z0-9])")
_ENDS = re.compile(r"[.!?…][\"')\]]?$")
_MAX_PAUSE = 1.0  # seconds: a longer pause ends a sentence even without a full stop
_MAX_SENTENCE = 30.0  # seconds: a lost full stop does not make one sentence of a whole lecture
_PUNCTUATED = 0.2  # share of cues that end a sentence; below it the captions have no punctuation to go by


def sentences(cues: Sequence[Sentence]) -> list[Sentence]:
    """Turn cues, which break anywhere, into sentences: joined up to a full stop, split after one.

    The time of a break inside a cue is interpolated by letters.
    """
    pieces = [piece for cue in cues for piece in _split(cue)]
    if sum(bool(_ENDS.search(piece.text)) for piece in pieces) < _PUNCTUATED * len(pieces):
        return pieces
    done: list[Sentence] = []
    for piece in pieces:
        last = done[-1] if done else None
        if (
            last is not None
            and not _ENDS.search(last.text)
            and piece.start - last.end <= _MAX_PAUSE
            and piece.end - last.start <= _MAX_SENTENCE
        ):
            known = [value for value in (last.confidence, piece.confidence) if value is not None]
            done[-1] = Sentence(
                start=last.start,
                end=max(last.end, piece.end),
                text=f"{last.text} {piece.text}",
                confidence=min(known, default=None),
            )
        else:
            done.append(piece)
    return done


def _split(cue: Sentence) -> list[Sentence]:
    stops = [match.end() for match in _SENTENCE_END.finditer(cue.text)]
    bounds = [0, *stops, len(cue.text)]
    rate = (cue.end - cue.start) / max(1, len(cue.text))
    return [
        Sentence(
            start=round(cue.start + a * rate, 3),
            end=round(cue.start + b * rate, 3) if b < len(cue.text) else cue.end,
            text=cue.text[a:b].strip(),
            confidence=cue.confidence,
        )
        for a, b in pairwise(bounds)
        if cue.text[a:b].strip()
    ]
