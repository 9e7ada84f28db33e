"""The model's card: one template, filled from what the checkpoint, its runs and its evaluation say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from videopath_hf import RESEARCH_NOTICE
from videopath_hf.data.card import cell, markdown_environment
from videopath_hf.data.licences import read_licence
from videopath_hf.evaluation.columns import Column, label
from videopath_hf.evaluation.tables import ABSENT, basis, interval, markdown, number
from videopath_hf.publishing.checkpoint import Checkpoint
from videopath_hf.publishing.facts import OWN_BRANCH, Facts
from videopath_hf.publishing.metadata import card_data
from videopath_hf.publishing.provenance import Stage
from videopath_hf.serving.ask import DEFAULT_QUESTION

_PLACES = {"model": None, "out": None, "cache_features": None}
_SHOWN_SOURCES = 5


def template_folder() -> Path:
    """Where the template and the endpoint's files are, in the installed package or the source tree."""
    package = Path(__file__).parents[1]
    installed = package / "model_cards"
    return installed if installed.is_dir() else package.parent / "model_cards"


def recipe_file(stage: Stage) -> str:
    """Path in the repository of a stage's recipe."""
    return f"training/stage{stage.run['stage']}_{stage.run['name']}.yaml"


def recipe_text(stage: Stage) -> str:
    """A stage's recipe as YAML that `videopath train` reads, without places on somebody's disk."""
    recipe = {**stage.recipe, **_PLACES}
    recipe["data"] = {**recipe["data"], "path": None, "media": None}
    command = f"videopath train {Path(recipe_file(stage)).name} model=... data.path=... out=..."
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
    return f"# {command}\n# trained with {_versions(stage)}\n{text}"


def render_model_card(facts: Facts) -> str:
    """The card as Markdown, with its metadata.

    Raises:
        ValueError: metadata that huggingface_hub does not take.
    """
    from huggingface_hub import ModelCard

    from videopath_hf.modeling.stock_settings import NOTES

    both = len(facts.branches) > 1
    revision = f', revision="{OWN_BRANCH}"' if both else ""
    base_revision = f', revision="{facts.base_revision}"' if facts.base_revision else ""
    own = next((name for name, layout in facts.branches.items() if layout == "videopath"), None)
    text = (
        markdown_environment(template_folder())
        .get_template("model_card.md")
        .render(
            header=card_data(facts).to_yaml(),
            title=facts.repo.split("/")[-1],
            notice=RESEARCH_NOTICE,
            question=DEFAULT_QUESTION,
            kind=facts.checkpoint.kind,
            repo=facts.repo,
            **_model_values(facts.checkpoint),
            lora=facts.checkpoint.adapter,
            parameters=f"{facts.checkpoint.parameters:,}, {facts.checkpoint.dtype}",
            branches=facts.branches,
            own_branch=own if facts.checkpoint.kind == "model" else None,
            package_argument=revision,
            remote_argument=f', "revision": "{OWN_BRANCH}"' if both else "",
            base_argument=base_revision,
            stock="llava_onevision" in facts.branches.values(),
            stock_fault=facts.stock_fault,
            stock_notes=NOTES,
            base=facts.base,
            base_revision=facts.base_revision,
            base_sentence=_base_sentence(facts),
            stages=[_stage_row(stage) for stage in facts.provenance.stages],
            versions=f"Trained with {_versions(facts.provenance.stages[-1])}." if facts.provenance.stages else "",
            gap=None if facts.base else facts.provenance.gap,
            data=[row for stage in facts.provenance.stages for row in _data_rows(stage)],
            licence=_link(facts.licence.text, facts.licence.url),
            licence_notes=facts.licence.notes,
            **_result_values(facts),
        )
    )
    ModelCard(text)  # reads its own metadata back, or raises
    return text


def _model_values(checkpoint: Checkpoint) -> dict[str, Any]:
    """Of the configuration, what the card describes the model by; none of an adapter saved without one."""
    from videopath_hf.modeling.packing_videopath_llava import num_video_tokens

    config = checkpoint.config
    if config is None:
        return {"vision": None, "text": None, "layout": None, "video_tokens": None}
    return {
        "vision": config.vision_config,
        "text": config.get_text_config(),
        "layout": config.layout,
        "video_tokens": f"{num_video_tokens(32, config.layout):,}",
    }


def _base_sentence(facts: Facts) -> str:
    named = [f"[{name}](https://huggingface.co/{name})" for name in facts.base]
    return f"It started from {' and '.join(named)}." if named else "What it started from has no name on the Hub."


def _stage_row(stage: Stage) -> dict[str, Any]:
    run, recipe = stage.run, stage.recipe
    steps, trainable = recipe["optimisation"], recipe["trainable"]
    trained = [name.replace("_", " ") for name in ("projector", "vision_tower") if trainable[name]]
    if trainable["language_model"] != "none":
        lora = recipe["lora"]
        by = f"by LoRA (r {lora['r']}, alpha {lora['alpha']})" if trainable["language_model"] == "lora" else ""
        trained.append(f"language model {by}".strip())
    vision_rate = steps.get("vision_learning_rate") or steps["learning_rate"]
    return {
        "number": run["stage"],
        "name": cell(run["name"]),
        "file": recipe_file(stage),
        "trained": ", ".join(trained),
        "samples": f"{run['samples']:,}",
        "steps": f"{run['steps']:,}",
        "batch": steps.get("global_batch") or steps["batch_size"] * (steps.get("accumulation") or 1),
        "rate": f"{steps['learning_rate']:g}",
        "vision_rate": f"{vision_rate:g}" if trainable["vision_tower"] else "frozen",
        "first_loss": f"{run['loss']['first']:.2f}",
        "last_loss": f"{run['loss']['last']:.2f}",
    }


def _data_rows(stage: Stage) -> list[dict[str, str]]:
    licences = stage.licences
    if licences is None:
        return [
            {
                "stage": stage.run["stage"],
                "records": str(stage.run["records"]),
                "licence": "not recorded",
                "sources": "",
            }
        ]
    named = [cell(name) for name, _ in stage.sources.most_common(_SHOWN_SOURCES)]
    more = stage.run["data"]["source_count"] - len(named)
    sources = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return [
        {
            "stage": stage.run["stage"],
            "records": f"{count:,}",
            "licence": _link(cell(text), read_licence(text).url),
            "sources": sources,
        }
        for text, count in sorted(licences.items())
    ]


def _result_values(facts: Facts) -> dict[str, Any]:
    results = facts.results
    if results is None:
        return {"results": None}
    variants = results.variants
    rows = []
    for name in variants["full"].columns:
        columns = [variant.columns.get(name) for variant in variants.values()]
        rows.append([label(name), *map(_figure, columns), _scored(columns)])
    test_set = str(facts.test_set)
    linked = (
        f"[{test_set}](https://huggingface.co/datasets/{test_set})" if test_set.count("/") == 1 else cell(test_set)
    )
    named = results.model_copy(update={"data": results.data.model_copy(update={"name": linked})})
    return {"results": results, "table": markdown(["Figure", *variants, "scored"], rows), "basis": basis(named)}


def _figure(column: Column | None) -> str:
    """A mean with its 95% interval, where there is one."""
    if column is None:
        return ABSENT
    mean = number(column.value, 3)
    return mean if column.low is None else f"{mean} ({interval(column, 3)})"


def _scored(columns: Sequence[Column | None]) -> str:
    """How many answers are in the means, of each variant where these differ."""
    counts = [ABSENT if column is None else f"{column.scored:,} of {column.n:,}" for column in columns]
    return counts[0] if len(set(counts)) == 1 else ", ".join(counts)


def _versions(stage: Stage) -> str:
    return ", ".join(f"{name} {version}" for name, version in stage.run["versions"].items())


def _link(text: str, url: str | None) -> str:
    return f"[{text}]({url})" if url else text
