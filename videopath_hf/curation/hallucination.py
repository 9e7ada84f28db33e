"""What Whisper writes that nobody said: loops, film credits, words in silence. Nothing goes without a reason."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from videopath_hf.curation.speech import MAX_COMPRESSION, Cue, compression_ratio
from videopath_hf.curation.voice import Voice

_NO_SPEECH, _LOGPROB = 0.6, -1.0  # Whisper's own thresholds, which hold together
_MIN_VOICE = 0.15  # share of a cue's time; real speech has 0.7 and more
_DOUBTFUL = 0.5  # confidence and share of voice below which a line that people also say is taken for invented
_LONGEST_GRAM = 12  # words
_ALIKE = 3  # as many equal cues in a row are one and its echoes

_NEVER_SPOKEN = re.compile(
    r"\b(?:sub(?:title[sd]?|s)|caption(?:s|ed)?|transcri(?:pt(?:ion)?|bed))\s+(?:\w+\s+){0,2}by\b|\bamara\.org\b|"
    r"\bwww\.|https?://|[\u266a\u266b]|^\W*[\[(*]\s*(?:music|applause|laughter|silence|blank[_ ]audio|inaudible|"
    r"sound|noise|clap\w*|cough\w*|beep\w*)[^\])*]*[\])*]\W*$|\btranslated by\b|\ball rights reserved\b",
    re.I,
)
_SELDOM_SPOKEN = re.compile(
    r"^\W*(?:(?:thank you|thanks)(?: (?:so|very) much)?(?: for (?:watching|viewing|listening)(?: \w+ video)?)?|"
    r"(?:please )?(?:don'?t forget to )?(?:like(?:,| and|, and) )?(?:share(?:,| and|, and) )?subscribe.*|"
    r"(?:i'?ll |we'?ll )?see you (?:in the |guys )?(?:next (?:time|video|one)|later|soon|again).*|"
    r"you|bye(?:[ -]bye)?|okay|oh|so|um+|uh+|hmm+|the end|to be continued|i'?m sorry)\W*$",
    re.I,
)


class Dropped(NamedTuple):
    """A cue, or the rest of one, that was left out, and why."""

    cue: Cue
    reason: str


def sift(cues: Sequence[Cue], voice: Voice) -> tuple[list[Cue], list[Dropped]]:
    """Divide cues into what was said and what was not."""
    kept: list[Cue] = []
    dropped: list[Dropped] = []
    for cue in cues:
        once, echo = _unlooped(cue)
        while echo is not None:
            dropped.append(Dropped(echo, "repeats the words before it"))
            once, echo = _unlooped(once)
        reason = _fault(once, voice)
        if reason is not None:
            dropped.append(Dropped(once, reason))
        elif once.text:
            kept.append(once)
    kept, echoes = _without_echoes(kept)
    return kept, sorted([*dropped, *echoes], key=lambda drop: drop.cue.start)


def _fault(cue: Cue, voice: Voice) -> str | None:
    """Why nobody said this, or None."""
    heard = voice.share(cue.start, cue.end)
    if heard < _MIN_VOICE:
        return "there is no voice in the sound here"
    if _NEVER_SPOKEN.search(cue.text):
        return "a credit or sound mark from film subtitles"
    if _SELDOM_SPOKEN.match(cue.text) and (cue.confidence < _DOUBTFUL or heard < _DOUBTFUL):
        return "a line that Whisper often invents, heard without confidence or voice"
    if cue.no_speech > _NO_SPEECH and cue.logprob < _LOGPROB:
        return "the model itself takes it for silence"
    if compression_ratio(cue.text) > MAX_COMPRESSION:
        return "its text is one repetition"
    return None


def _unlooped(cue: Cue) -> tuple[Cue, Cue | None]:
    """A cue up to the first turn of a loop at its end or in its middle, and the other turns."""
    keys = [_key(word.text) for word in cue.words]
    for size in range(1, min(_LONGEST_GRAM, len(keys) // 3) + 1):
        needed = 4 if size < 3 else 3  # "very, very, very" and "and so on, and so on" are said
        for start in range(len(keys) - size * needed + 1):
            gram = keys[start : start + size]
            turns = 1
            while keys[start + turns * size : start + (turns + 1) * size] == gram:
                turns += 1
            if turns >= needed and any(gram):
                first, last = start + size, start + turns * size
                said = Cue(cue.words[:first] + cue.words[last:], cue.logprob, cue.no_speech)
                return said, Cue(cue.words[first:last], cue.logprob, cue.no_speech)
    return cue, None


def _without_echoes(cues: Sequence[Cue]) -> tuple[list[Cue], list[Dropped]]:
    kept: list[Cue] = []
    dropped: list[Dropped] = []
    index = 0
    while index < len(cues):
        turns = 1
        while index + turns < len(cues) and _key(cues[index + turns].text) == _key(cues[index].text):
            turns += 1
        kept.append(cues[index])
        echoes = cues[index + 1 : index + turns]
        if turns >= _ALIKE:
            dropped.extend(Dropped(echo, "repeats the cue before it") for echo in echoes)
        else:
            kept.extend(echoes)
        index += turns
    return kept, dropped


def _key(text: str) -> str:
    return re.sub(r"\W+", "", text.lower())
