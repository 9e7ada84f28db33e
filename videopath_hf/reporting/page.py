"""One self-contained HTML page: style inside, pictures as data URIs, opens without a network."""

import base64
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment(templates: Path = _TEMPLATES) -> jinja2.Environment:
    """Renders the templates of a folder; every value is escaped unless it is `markupsafe.Markup`."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def render(template: str, **values: Any) -> str:
    """Render one of the templates beside this module; every value is escaped unless it is `markupsafe.Markup`."""
    return environment().get_template(template).render(**values)


def render_page(title: str, body: str) -> str:
    """Wrap an HTML fragment, made by `render`, into a complete page with the report's style and notice."""
    from markupsafe import Markup

    from videopath_hf import RESEARCH_NOTICE, __version__

    return render("page.html", title=title, body=Markup(body), notice=RESEARCH_NOTICE, version=__version__)


def image_uri(path: str | Path) -> str:
    """A JPEG, PNG or SVG file as a data URI."""
    path = Path(path)
    kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".svg": "svg+xml"}[path.suffix.lower()]
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
