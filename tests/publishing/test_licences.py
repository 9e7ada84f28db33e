"""A model's licence has what its data's ask for; what forbids or is unknown stops, unless somebody answers for it."""

import pytest

from videopath_hf.errors import UserError
from videopath_hf.publishing.licences import inherited_licence


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (["CC BY 4.0"], "cc-by-4.0"),
        (["CC BY-NC 2.0", "CC BY 4.0"], "cc-by-nc-4.0"),
        (["CC BY-NC 3.0", "cc-by-nc-3.0", "MIT"], "cc-by-nc-3.0"),
        (["CC BY-SA 3.0", "CC BY-NC 4.0"], "cc-by-nc-sa-4.0"),
        (["CC BY-NC 2.5"], "cc-by-nc-4.0"),
        (["MIT"], "mit"),
        (["MIT", "Apache-2.0"], "other"),
        (["CC0", "CC BY 3.0"], "cc-by-3.0"),
    ],
)
def test_every_term_of_the_datas_licences_is_kept(data: list[str], expected: str) -> None:
    assert inherited_licence(data, [], None, None).hub == expected


def test_unknown_licences_are_named_until_one_is_stated() -> None:
    data = ["CC BY 4.0", "unknown: not to be published"]
    with pytest.raises(UserError, match="'unknown: not to be published': its licence is unknown; state it with"):
        inherited_licence(data, [], None, None)
    with pytest.raises(UserError, match="stage 2 does not tell"):
        inherited_licence([], ["run.json of stage 2 does not tell"], None, None)
    licence = inherited_licence(data, ["stage 2 does not tell"], "CC BY-NC 4.0", None)
    assert licence.hub == "cc-by-nc-4.0"
    assert "Stated by whoever publishes it" in licence.notes[0]
    assert "stage 2 does not tell; licence 'unknown: not to be published'" in licence.notes[0]


def test_no_derivatives_needs_a_permission_which_is_said() -> None:
    data = ["CC BY-NC-ND 3.0", "CC BY 4.0"]
    with pytest.raises(UserError, match=r"'CC BY-NC-ND 3\.0' went into this model, which forbids publishing"):
        inherited_licence(data, [], "CC BY-NC 4.0", None)
    licence = inherited_licence(data, [], None, "the authors, by letter of 2 May")
    assert licence.hub == "cc-by-nc-4.0"
    assert licence.notes == ["Of data under CC BY-NC-ND 3.0, published by permission: the authors, by letter of 2 May"]


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("MIT", "'MIT' leaves out NC, which licences of the data ask for"),
        ("CC BY 4.0", "leaves out NC"),
        ("my own", "cannot be a model's"),
        ("all rights reserved", "cannot be a model's"),
    ],
)
def test_a_stated_licence_may_not_leave_out_a_term(stated: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        inherited_licence(["CC BY-NC 4.0"], [], stated, None)


def test_a_stated_licence_may_ask_for_more() -> None:
    assert inherited_licence(["CC BY 4.0"], [], "CC BY-NC-ND 4.0", None).hub == "cc-by-nc-nd-4.0"
    assert inherited_licence(["CC BY 4.0"], [], "MIT", None).hub == "mit"
