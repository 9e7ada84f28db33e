"""How the documentation is built: `make docs`, without a network."""

import re
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from docutils import nodes
from pydantic import BaseModel
from sphinx.application import Sphinx

project = "videopath_hf"
author = "The videopath_hf maintainers"
project_copyright = author
version = release = installed_version("videopath-hf")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
default_role = "literal"

# Notebooks are run by the tests, which check what they show.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"exclude-members": "model_config"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

smartquotes = False  # they turn --option into a dash
html_theme = "furo"
html_title = f"videopath_hf {version}"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
copybutton_exclude = ".linenos, .gp, .go"


def _as_rst(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings in the Hugging Face form: [`Name`] is a reference, fenced Python is an example."""
    text = "\n".join(lines)
    text = re.sub(r"\[`~?([\w.]+)`\]", lambda found: f":py:obj:`~{_anywhere(found[1])}`", text)
    # As literals, or colons inside them would end the name of an argument.
    text = re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`_\w])", r"``\1``", text)
    text = re.sub(r"^( *)```(?:python)?\n(.*?)^ *```$", _example, text, flags=re.DOTALL | re.MULTILINE)
    lines[:] = text.split("\n")


def _anywhere(name: str) -> str:
    """A name that is found wherever it is documented, if it does not say where."""
    return name if "." in name else f".{name}"


def _example(found: re.Match[str]) -> str:
    indent, code = found[1], found[2]
    if code.lstrip().startswith(">>>"):
        return f"\n{code}\n"
    return f"{indent}.. code-block:: python\n\n" + re.sub(r"^", "    ", code, flags=re.MULTILINE)


def _no_signature(app: Sphinx, what: str, name: str, obj: Any, *rest: Any) -> tuple[str, None] | None:
    """Settings and records have up to thirty fields, which the text or the members list."""
    return ("", None) if what == "class" and issubclass(obj, BaseModel) else None


def _inline_drawings(app: Sphinx, doctree: nodes.document) -> None:
    """Drawings into the page itself, where they take the colour of its text, whichever theme a reader chose."""
    for image in list(doctree.findall(nodes.image)):
        drawing = Path(app.srcdir) / image["uri"]
        if drawing.suffix == ".svg" and drawing.is_file():  # Sphinx itself warns of one that is not there
            text = f'<div class="drawing">{drawing.read_text(encoding="utf-8")}</div>'
            image.replace_self(nodes.raw("", text, format="html"))


def setup(app: Sphinx) -> None:
    """Hook in what is done to docstrings; before napoleon, which reads their sections."""
    app.connect("autodoc-process-docstring", _as_rst, priority=400)
    app.connect("autodoc-process-signature", _no_signature)
    app.connect("doctree-read", _inline_drawings)  # after the images were collected: their paths are whole then
