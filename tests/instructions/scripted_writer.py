"""What a decent language model would reply to our prompts: worked out from the material in the request itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.llm.chat_server import ChatServer, Reply, said, serve
from videopath_hf.instructions.settings import InstructSettings
from videopath_hf.instructions.writing import Writing, write_descriptions
from videopath_hf.records import ClipRecord

Behaviour = Callable[[dict[str, Any], int], Reply]
DIAGNOSES = ("celiac disease", "melanosis coli")


def text_of(request: dict[str, Any]) -> str:
    """The user's first turn."""
    content = request["messages"][1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def material_of(request: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in it."""
    text = text_of(request)
    return json.JSONDecoder().raw_decode(text[text.index("{") :])[0]


def turn_of(request: dict[str, Any]) -> str:
    """Which prompt a request was made from."""
    if "statements" in material_of(request):
        return "check"
    text = text_of(request)
    return next(name for name in ("concise", "detailed", "write") if name in text or name == "write")


def findings_of(material: dict[str, Any]) -> list[dict[str, Any]]:
    """One finding a passage that names no diagnosis, the finest first."""
    passages = [item for item in material["words"] if not any(name in item["text"].lower() for name in DIAGNOSES)]
    return [
        {
            "magnification": "high" if index else "low",
            "statement": item["text"],
            "start": item["start"],
            "end": item["end"],
        }
        for index, item in enumerate(passages)
    ][::-1]


def draft_of(material: dict[str, Any]) -> dict[str, Any]:
    """A first pass of `vidrip`."""
    for item in material["words"]:
        for name in DIAGNOSES:
            if name in item["text"].lower():
                cited = {"diagnosis": name, "diagnosis_start": item["start"], "diagnosis_end": item["end"]}
                return {"findings": findings_of(material), "reasoning": "Together they are typical.", **cited}
    nothing = {"diagnosis": None, "diagnosis_start": None, "diagnosis_end": None}
    return {"findings": findings_of(material), "reasoning": "", **nothing}


def verdicts_of(material: dict[str, Any]) -> dict[str, Any]:
    """A second pass: supported by whichever passage holds the statement, or the diagnosis it names."""
    verdicts = []
    for item in material["statements"]:
        needle = item["statement"].removeprefix("The diagnosis is ").rstrip(".").lower()
        quote = needle if any(needle in words["text"].lower() for words in material["words"]) else ""
        supported = bool(quote) or item["statement"] == "Together they are typical."
        verdicts.append({"number": item["number"], "supported": supported, "quote": quote})
    return {"verdicts": verdicts}


def reply_to(request: dict[str, Any]) -> dict[str, Any]:
    """The whole reply to a request."""
    material, turn = material_of(request), turn_of(request)
    if turn == "check":
        return verdicts_of(material)
    if turn == "write":
        return draft_of(material)
    told = " ".join(finding["statement"] for finding in reversed(findings_of(material)))
    return {"description": told, "quality": 4}


def decent(request: dict[str, Any], _: int) -> Reply:
    """Behaviour of a server with a decent model."""
    return said(json.dumps(reply_to(request)))


def write_with(
    writer: str, root: Path, clip: ClipRecord, behave: Behaviour, **values: Any
) -> tuple[Writing, ChatServer]:
    """Write about one clip through a server that behaves so; also the server, for what it was asked."""
    with serve(behave) as server:
        settings = InstructSettings(writer=writer, server={"base_url": server.url, "model": "m"}, **values)
        return write_descriptions(root, root / "out", [clip], settings), server
