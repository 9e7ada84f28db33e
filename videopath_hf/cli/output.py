"""What verbs print: JSON for programs or a few lines for people, on stdout."""

import json
from pathlib import Path
from typing import Any

import typer


def plain(value: Any) -> Any:
    """Paths and records as JSON values."""
    return str(value) if isinstance(value, Path) else value.model_dump(mode="json")


def emit(result: dict[str, Any], as_json: bool) -> None:
    """Print `result` as one JSON object, or as `name: value` lines."""
    if as_json:
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False, default=plain))
        return
    for name, value in result.items():
        shown = json.dumps(value, ensure_ascii=False, default=plain) if isinstance(value, dict | list) else value
        typer.echo(f"{name.replace('_', ' ')}: {shown}")
