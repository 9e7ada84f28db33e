"""The fenced blocks of Markdown pages: README and the documentation."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = DOCS / "reference" / "cli.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if page != GENERATED and "_build" not in page.parts]

NOT_RUN = "<!-- not run: "


class Block(NamedTuple):
    """A fenced block.

    Args:
        page (`Path`), line (`int`): where it stands.
        language (`str`): the first word behind the fence.
        text (`str`): what it holds.
        not_run (`str`, *optional*): why no test runs it, from a comment before it: `<!-- not run: REASON -->`.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def name(self) -> str:
        """For messages and test ids."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    comment = None
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            assert token.map is not None
            yield Block(page, token.map[0] + 1, (token.info.split() or [""])[0], token.content, comment)
        comment = None
        if token.type == "html_block" and token.content.startswith(NOT_RUN):
            comment = token.content[len(NOT_RUN) :].split("-->")[0].strip()
            assert comment, f"{page} does not say why a block is not run"


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in one of the languages."""
    return [block for page in PAGES for block in blocks(page) if block.language in languages]
