"""Rule kinds of other packages are found like the built-in ones."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from cityframe.errors import DeclarationError
from cityframe.rules import registry
from cityframe.rules.defects import no_defects
from cityframe.rules.kind import Parameters, RuleKind
from cityframe.rules.measures import own_measure


def _kind(name):
    return RuleKind(
        name=name,
        number=900,
        group="other",
        measure=own_measure("x", "y"),
        params=Parameters,
        reach="feature",
        check=lambda context, parameters: no_defects(),
    )


@pytest.fixture
def offer(monkeypatch):
    """Return a function that offers a kind as another package would."""

    def offer_kind(name, kind):
        module = types.ModuleType("another_package", "The roof is not too steep.\n\nMore.")
        module.KIND = kind
        monkeypatch.setitem(sys.modules, "another_package", module)
        entry = EntryPoint(name=name, value="another_package:KIND", group=registry.GROUP)
        monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
        registry._registered.cache_clear()

    yield offer_kind
    monkeypatch.undo()
    registry._registered.cache_clear()


def test_another_package_adds_a_kind(offer):
    offer("roof_slope", _kind("roof_slope"))
    assert registry.rule_kinds()["roof_slope"].number == 900
    assert len(registry.rule_kinds()) == len(registry.built_in()) + 1
    assert registry.manual_text("roof_slope").startswith("The roof")


def test_a_name_is_offered_once(offer):
    offer("overlaps", _kind("overlaps"))
    with pytest.raises(DeclarationError, match="'overlaps' is offered twice"):
        registry.rule_kinds()


def test_what_is_no_rule_kind_is_refused(offer):
    offer("roof_slope", "a text")
    with pytest.raises(DeclarationError, match="gives 'a text'"):
        registry.rule_kinds()


def test_a_kind_has_exactly_one_way_of_checking():
    with pytest.raises(TypeError, match="either check or expectation"):
        RuleKind(
            name="x",
            number=1,
            group="x",
            measure=own_measure("x", "y"),
            params=Parameters,
            reach="feature",
        )
