"""Every message that the page of troubleshooting quotes is one that the code can say."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import DOCS, ROOT

QUOTED = re.findall(r"^> `(.+)`$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
ANYTHING = "…"


def said() -> Iterator[str]:
    """All texts of the package, what is filled in as `…`."""
    for path in (ROOT / "videopath_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else ANYTHING for part in node.values)
                yield "".join(map(str, parts))


def occurs(quoted: str, texts: list[str]) -> bool:
    """Whether one text holds all that is quoted, in this order."""
    pattern = ".*".join(re.escape(part) for part in quoted.split(ANYTHING))
    return any(re.fullmatch(pattern, text, flags=re.DOTALL) for text in texts)


TEXTS = [text for text in said() if len(text) > 10]


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_the_codes_own(message: str) -> None:
    assert occurs(message, TEXTS)


def test_a_message_that_no_code_says_is_found() -> None:
    assert not occurs("output folder … is haunted by another run", TEXTS)
    assert len(QUOTED) == len(set(QUOTED)) > 40
