"""A dataset's description in Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""

from collections.abc import Mapping, Sequence
from typing import Any

from videopath_hf.data.licences import read_licence

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_CITATION = (
    "Vuong, Trinh and Kwak, Jin Tae. VideoPath-LLaVA: Pathology Diagnostic Reasoning Through Video Instruction "
    "Tuning. arXiv:2505.04192, 2025."
)


def croissant(
    repo: str,
    url: str,
    description: str,
    licences: Sequence[str],
    files: Mapping[str, str],
    columns: Sequence[str],
    embedded: Mapping[str, str],
) -> dict[str, Any]:
    """The description of a published dataset.

    Args:
        repo (`str`): `owner/name`.
        url (`str`): the repository's page.
        description (`str`): one paragraph.
        licences (`Sequence[str]`): of its sources.
        files (`Mapping[str, str]`): a pattern of parquet files by configuration.
        columns (`Sequence[str]`): the columns of the rows that are plain values.
        embedded (`Mapping[str, str]`): `"video"` or `"image"` by configuration, where the column of that name holds
            the bytes of the media; where it is not named, a column `file_name` says which file is the row's.
    """
    container = {
        "@type": "cr:FileObject",
        "@id": "repo",
        "name": "repo",
        "description": "The repository on the Hub.",
        "contentUrl": f"{url}/tree/main",
        "encodingFormat": "git+https",
        # A repository has no checksum: https://github.com/mlcommons/croissant/issues/80
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "description": f"Parquet files of the configuration {name}.",
            "containedIn": {"@id": "repo"},
            "encodingFormat": "application/x-parquet",
            "includes": pattern,
        }
        for name, pattern in files.items()
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": repo.split("/")[-1],
        "description": description,
        "url": url,
        "license": sorted({read_licence(text).url or text for text in licences}),
        "creator": {"@type": "sc:Organization", "name": repo.split("/")[0]},
        "citeAs": _CITATION,
        "version": "1.0.0",
        "keywords": ["pathology", "video", "vision-language", "instruction tuning"],
        "isLiveDataset": True,
        "distribution": [container, *sets],
        "recordSet": [_record_set(name, columns, embedded.get(name)) for name in files],
    }


def _record_set(name: str, columns: Sequence[str], medium: str | None) -> dict[str, Any]:
    if medium is None:
        first = _field(name, "file_name", "sc:Text")
    else:
        first = _field(name, medium, f"sc:{medium.capitalize()}Object", {"transform": {"jsonPath": "bytes"}})
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"Rows of the configuration {name}, without the columns of nested values.",
        "key": {"@id": f"{name}/id"},
        "field": [
            first,
            *(_field(name, column, "sc:Float" if column in ("start", "end") else "sc:Text") for column in columns),
        ],
    }


def _field(name: str, column: str, kind: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": column,
        "dataType": kind,
        "source": {"fileSet": {"@id": f"{name}-files"}, "extract": {"column": column}, **(more or {})},
    }
