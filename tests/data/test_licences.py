import pytest

from videopath_hf.data.card import hub_licence
from videopath_hf.data.licences import read_licence


@pytest.mark.parametrize(
    ("text", "hub", "verdict"),
    [
        ("CC BY 4.0", "cc-by-4.0", "allowed"),
        ("cc-by-nc-4.0", "cc-by-nc-4.0", "allowed"),
        ("CC BY-NC-SA 3.0 (QuPath channel)", "cc-by-nc-sa-3.0", "allowed"),
        ("https://creativecommons.org/licenses/by-sa/4.0/", "cc-by-sa-4.0", "allowed"),
        ("Creative Commons Attribution 4.0", "cc-by-4.0", "allowed"),
        ("CC0 1.0", "cc0-1.0", "allowed"),
        ("MIT", "mit", "allowed"),
        ("Apache License 2.0", "apache-2.0", "allowed"),
        ("public domain", "pddl", "allowed"),
        ("CC BY-NC-ND 3.0", "cc-by-nc-nd-3.0", "forbidden"),
        ("cc_by_nd_4.0", "cc-by-nd-4.0", "forbidden"),
        ("CC BY-NC-ND 3.0 + agreement", "cc-by-nc-nd-3.0", "forbidden"),
        ("All rights reserved", "other", "forbidden"),
        ("unknown: not to be published", "other", "unknown"),
        ("", "other", "unknown"),
        ("ask Dr. Limited", "other", "unknown"),
        ("permitted by the speaker", "other", "unknown"),
    ],
)
def test_a_licence_is_understood_as_people_write_it(text: str, hub: str, verdict: str) -> None:
    found = read_licence(text)
    assert (found.hub, found.verdict) == (hub, verdict)
    assert bool(found.reason) == (verdict != "allowed")


def test_creative_commons_long_names_keep_their_limits() -> None:
    assert read_licence("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0").verdict == "forbidden"
    assert read_licence("Creative Commons Attribution-NonCommercial 4.0 International").hub == "cc-by-nc-4.0"
    assert read_licence("CC BY-NC-ND, all rights with the authors").verdict == "forbidden"
    assert read_licence("Creative Commons NoDerivs").verdict != "allowed"


def test_the_card_names_one_licence_only_where_all_records_have_it() -> None:
    assert hub_licence(["CC BY 4.0", "cc-by-4.0"]) == {"license": "cc-by-4.0"}
    assert hub_licence(["CC BY 4.0", "MIT"])["license"] == "other"
    assert hub_licence(["unknown"])["license"] == "other"
