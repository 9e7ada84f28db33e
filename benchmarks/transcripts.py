"""How well a lecture is transcribed: word error rate, medical terms before and after correction, diagnoses.

python benchmarks/transcripts.py --video FILE --truth FILE --backend faster-whisper --model PATH [--json]

The truth is a JSON file with `transcript` (sentences with `text`) and `cases` (each with `diagnosis`). Texts are
compared in lower case, hyphens as spaces, other punctuation removed, spelling and numbers as they are; jiwer counts.
"""

import argparse
import json
import re
import resource
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jiwer
from wordfreq import zipf_frequency

from videopath_hf.curation.settings import TranscriptSettings
from videopath_hf.curation.terms import spoken_diagnosis
from videopath_hf.curation.transcript import Transcript, transcribe
from videopath_hf.curation.vocabulary import load_vocabulary
from videopath_hf.video.probe import probe

RARE = 3.0  # Zipf frequency: fewer than one in a million words of English


def normalise(text: str) -> str:
    """Lower case, hyphens and dashes as spaces, other punctuation removed."""
    return " ".join(re.sub(r"[^\w\s]", "", re.sub(r"[-\u2010-\u2015/]", " ", text.lower())).split())


def before_correction(made: Transcript) -> str:
    """What was recognized, with the corrections undone."""
    undo = {correction.start: correction for correction in made.corrections}
    texts: list[str] = []
    skip = 0
    for word in made.words:
        if skip == 0 and (correction := undo.get(word.start)) is not None:
            texts.append(correction.heard)
            skip = len(correction.corrected.split(" "))
        if skip:
            skip -= 1
        else:
            texts.append(word.text)
    return " ".join(texts)


def vocabulary_terms(text: str) -> Counter[str]:
    """The package's terms that occur in a normalised text, the longest at each place."""
    terms = {normalise(term.text) for term in load_vocabulary(None).terms}
    longest_first = sorted(terms, key=lambda term: (-len(term), term))
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b")
    return Counter(pattern.findall(text))


def rare_words(text: str) -> Counter[str]:
    """The words of a normalised text that are rare in English, whether the package's list has them or not."""
    return Counter(word for word in text.split() if word.isalpha() and zipf_frequency(word, "en") < RARE)


def recall(truth: Counter[str], found: Counter[str]) -> float | None:
    """Share of the truth's occurrences that were found."""
    return round((truth & found).total() / truth.total(), 4) if truth else None


def diagnoses(sentences: Sequence[str], cases: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """For each case of the truth whether some sentence states its diagnosis."""
    stated = [normalise(found.value) for text in sentences if (found := spoken_diagnosis(text)) is not None]
    return {case["diagnosis"]: any(normalise(case["diagnosis"]) in text for text in stated) for case in cases}


def measure_transcript(video: Path, truth: Path, settings: TranscriptSettings) -> dict[str, Any]:
    """Transcribe a video and compare it with its truth.

    Returns:
        `dict`: `wer` and `wer_uncorrected`, `terms` and `rare_words` (count, recall before and after), `diagnoses`,
        what was corrected and dropped, seconds of sound and of work, peak memory.
    """
    data = json.loads(truth.read_text(encoding="utf-8"))
    spoken = normalise(" ".join(sentence["text"] for sentence in data["transcript"]))
    start = time.perf_counter()
    made = transcribe(video, video.stem, probe(video).has_audio, settings)
    seconds = time.perf_counter() - start
    after = normalise(" ".join(sentence.text for sentence in made.sentences))
    before = normalise(before_correction(made)) if made.words else after
    return {
        "backend": made.backend,
        "model": made.source,
        "wer_uncorrected": round(jiwer.wer(spoken, before), 4),
        "wer": round(jiwer.wer(spoken, after), 4),
        **{
            name: {
                "count": count(spoken).total(),
                "recall_uncorrected": recall(count(spoken), count(before)),
                "recall": recall(count(spoken), count(after)),
            }
            for name, count in (("terms", vocabulary_terms), ("rare_words", rare_words))
        },
        "diagnoses": diagnoses([sentence.text for sentence in made.sentences], data.get("cases", [])),
        "corrections": [correction.model_dump() for correction in made.corrections],
        "dropped": [cue.model_dump() for cue in made.dropped],
        "figures": made.figures,
        "seconds": round(seconds, 2),
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure one backend on one lecture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--backend", default="faster-whisper", choices=["sidecar", "whisper", "faster-whisper"])
    parser.add_argument("--model", default="base", help="a size by name, a .pt file or a CTranslate2 folder")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = measure_transcript(
        args.video, args.truth, TranscriptSettings(backend=args.backend, whisper_model=args.model)
    )
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    print("| backend | model | WER before correction | after | terms' recall before | after | diagnoses | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    terms, found = figures["terms"], figures["diagnoses"]
    print(
        f"| {figures['backend']} | {figures['model']} | {figures['wer_uncorrected']} | {figures['wer']} | "
        f"{terms['recall_uncorrected']} | {terms['recall']} | {sum(found.values())} of {len(found)} | "
        f"{figures['seconds']} |"
    )
    for correction in figures["corrections"]:
        print(f"{correction['start']:8.2f} s  {correction['heard']} -> {correction['corrected']}")


if __name__ == "__main__":
    main()
