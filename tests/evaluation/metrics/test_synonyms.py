from pathlib import Path

import pytest

from videopath_hf.errors import UserError
from videopath_hf.evaluation.metrics import diagnosis_match
from videopath_hf.evaluation.metrics.synonyms import load_synonyms


def same(a: str, b: str, path: Path | None = None) -> bool:
    values = [
        diagnosis_match("r", f"Diagnosis: {said}", reference, load_synonyms(path)).value
        for said, reference in ((a, b), (b, a))
    ]
    assert values[0] == values[1], "which of two is the reference must not matter"
    return values[0] == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Celiac disease", "coeliac sprue"),
        ("gluten-sensitive enteropathy (celiac sprue)", "celiac disease"),
        ("HCC, moderately differentiated", "Moderately differentiated hepatocellular carcinoma"),
        ("Squamous cell carcinoma, esophagus", "ESCC"),
        ("adenocarcinoma of the colon", "Colonic adenocarcinoma"),
        ("Crohn\u2019s disease", "crohn disease"),
        ("Gastrointestinal stromal tumour", "GIST"),
        ("Barrett's oesophagus, negative for dysplasia", "Barrett esophagus without dysplasia"),
        ("tubular adenomas", "Tubular adenoma"),
        ("Findings consistent with melanosis coli", "pseudomelanosis coli"),
        ("renal clear cell carcinoma", "ccRCC"),
        ("DCIS and invasive lobular carcinoma", "invasive lobular carcinoma with ductal carcinoma in situ"),
    ],
)
def test_names_of_one_disease_match(a: str, b: str) -> None:
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("adenocarcinoma", "carcinoma"),
        ("colonic adenocarcinoma", "adenocarcinoma"),
        ("no evidence of celiac disease", "celiac disease"),
        ("celiac disease is not seen", "celiac disease"),
        ("negative for adenocarcinoma", "adenocarcinoma"),
        ("possible melanosis coli", "melanosis coli"),
        ("celiac disease versus tropical sprue", "celiac disease"),
        ("low-grade dysplasia", "high-grade dysplasia"),
        ("non-small cell carcinoma", "small cell carcinoma"),
        ("invasive ductal carcinoma and LCIS", "DCIS and invasive lobular carcinoma"),
        ("adenocarcinoma, no tubular adenoma", "tubular adenoma, no adenocarcinoma"),
        ("FHL2-positive colonic mucosa", "FHL2-negative colonic mucosa"),
        ("Ulcerative colitis", "Crohn disease"),
        ("the", "a"),
    ],
)
def test_a_kind_of_a_disease_a_denied_one_and_a_doubtful_one_do_not_match(a: str, b: str) -> None:
    assert not same(a, b)


def test_every_disease_of_the_list_is_met_by_each_of_its_names_and_by_no_other() -> None:
    found = load_synonyms()
    by_name: dict[str, set[frozenset[tuple[str, bool]]]] = {}
    for words, name in found.names.items():
        by_name.setdefault(name, set()).add(found.key(" ".join(words)))
    assert len(by_name) > 300
    assert {name: keys for name, keys in by_name.items() if len(keys) != 1} == {}
    assert len({key for keys in by_name.values() for key in keys}) == len(by_name)


def test_a_users_list_adds_names_to_known_diseases_and_diseases_and_spellings(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text(
        "# ours\nceliac disease = Gee-Herter disease  # old\nSmith disease = SD = morbus Smith\ntumeur -> tumor\n"
    )
    assert same("Gee-Herter disease", "coeliac sprue", mine)
    assert same("SD", "Morbus Smith", mine)
    assert same("granular cell tumeur", "Abrikossoff tumor", mine)
    assert not same("SD", "Morbus Smith")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HCC = Smith disease = SD\nSD = celiac disease", r"mine.txt, line 2: 'celiac disease' already stands for"),
        ("celiac disease = HCC", r"line 1: 'HCC' already stands for 'hepatocellular carcinoma'"),
        ("just a name", r"line 1: 'just a name' is not of the form `name = name`"),
        ("a b -> c", r"line 1: 'a b -> c' is not of the form `word, word -> word`"),
        ("x = ", "not of the form"),
        ("quiet mucosa = mucosa without inflammation", "'mucosa without inflammation' denies something"),
    ],
)
def test_a_list_that_says_two_things_or_nothing_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "mine.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        load_synonyms(tmp_path / "mine.txt")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt cannot be read: No such file"):
        load_synonyms(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"M\xe9n\xe9trier = x")
    with pytest.raises(UserError, match="not UTF-8"):
        load_synonyms(tmp_path / "latin.txt")
