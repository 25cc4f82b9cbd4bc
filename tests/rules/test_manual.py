"""The manual of the rule kinds is current."""

from pathlib import Path

from cityframe.rules.manual import manual_page
from cityframe.rules.registry import rule_kinds

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == manual_page(), (
        "docs/rules.md is out of date: run `python -m cityframe.rules.manual > docs/rules.md`"
    )


def test_every_kind_has_a_section_with_its_parameters():
    page = manual_page()
    for name, kind in rule_kinds().items():
        section = page.split(f"\n### {name}\n")[1].split("\n### ")[0]
        for parameter in kind.params.model_fields:
            assert f"| `{parameter}` |" in section
