"""What the project says of itself for citations and in its changelog."""

import re
from importlib.metadata import version

import pytest
import yaml

from tests.docs.pages import DOCS, ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_names_this_version_and_the_paper() -> None:
    assert CITATION["version"] == version("videopath-hf")
    assert CITATION["license"] == "Apache-2.0"
    (paper,) = CITATION["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2505.04192"
    assert {"cff-version", "message", "title", "authors", "type"} <= set(CITATION)


def test_the_citation_keeps_to_its_schema() -> None:
    cffconvert = pytest.importorskip("cffconvert", reason="cffconvert is not installed")
    cffconvert.Citation((ROOT / "CITATION.cff").read_text(encoding="utf-8")).validate()


def test_the_page_on_citing_has_the_same_paper_and_version() -> None:
    page = (DOCS / "citing.md").read_text(encoding="utf-8")
    assert CITATION["references"][0]["title"] in page
    assert f"version = {{{CITATION['version']}}}" in page


def test_the_changelog_has_this_version_or_says_what_it_will_be() -> None:
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version('videopath-hf'))}\]", log, flags=re.MULTILINE) or (
        f"What will be {version('videopath-hf')}" in log
    )
    heads = re.findall(r"^### (.+)$", log, flags=re.MULTILINE)
    assert set(heads) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
