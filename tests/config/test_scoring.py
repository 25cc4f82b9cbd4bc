from pathlib import Path

import pytest
import yaml

from cityframe.config.scoring import read_scoring
from cityframe.errors import DeclarationError

DEFAULT = Path(__file__).parents[2] / "quality_rules" / "scoring" / "vector.yaml"


@pytest.fixture
def change(tmp_path):
    """Return a function that reads the default scheme with a part replaced."""

    def read(change, name="vector"):
        document = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
        change(document)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        return read_scoring(tmp_path)

    return read


def test_the_default_scheme_names_a_source_for_each_figure():
    scheme = read_scoring(DEFAULT.parent)["buildings"]
    sourced = [
        *scheme.deductions.values(),
        scheme.difficulty,
        *(element.weight for element in scheme.elements.values()),
        *(grade.lowest for grade in scheme.grades.values()),
    ]
    assert {one.source for one in sourced} == {"GB/T 24356-2009", "set by the bureau"}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda d: d["deductions"].pop("C"), "none for C"),
        (lambda d: d["elements"]["time"]["weight"].update(value=0.5), r"sum to 1, not 1\.45"),
        (lambda d: d["elements"]["time"]["measures"].append("30"), "30 stand in two"),
        (lambda d: d["difficulty"].update(value=0), "difficulty above 0"),
        (lambda d: d["sampling"]["sizes"].reverse(), "growing order"),
        (lambda d: d["grades"]["good"]["lowest"].pop("source"), "source is missing"),
    ],
)
def test_a_scheme_that_does_not_add_up_is_refused(change, part, said):
    with pytest.raises(DeclarationError, match=said):
        change(part)


def test_a_layer_has_one_scheme(change):
    change(lambda document: None)
    with pytest.raises(DeclarationError, match="boundaries is scored twice"):
        change(lambda document: document.update(name="zz"), name="zz")
