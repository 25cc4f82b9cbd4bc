"""A layer's contract as JSON, as the store and packages keep it."""

import json
from dataclasses import asdict, replace
from typing import NoReturn

from cityframe.errors import DeclarationError
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title


def write(layer: Layer) -> str:
    """Return a contract as canonical JSON."""
    return json.dumps(asdict(layer), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def is_same(left: Layer, right: Layer) -> bool:
    """Return whether two contracts ask the same of data; titles do not count."""
    return _untitled(left) == _untitled(right)


def added_attributes(stored: Layer, declared: Layer) -> tuple[Attribute, ...]:
    """Return the attributes that a contract adds to the one in the store.

    Attributes may be added (null in the rows that are there); titles, codes, lengths, the key and
    the declared accuracy may change. Nothing else may: it would change what old rows mean.

    Raises
    ------
    DeclarationError
        If anything else differs.
    """
    where = f"schemas/{declared.name}.yaml"
    for name in ("geometry", "crs", "precision_m", "has_z", "vertical_datum"):
        before, after = getattr(stored, name), getattr(declared, name)
        if before != after:
            _refuse(where, f"{name} {after}", f"{before}, as in the store")
    new = {attribute.name: attribute for attribute in declared.attributes}
    for old in stored.attributes:
        if old.name not in new:
            _refuse(where, f"no attribute {old.name!r}", "every attribute that the store has")
        for name in ("type", "unit"):
            before, after = getattr(old, name), getattr(new[old.name], name)
            if before != after:
                _refuse(where, f"{old.name} with {name} {after!r}", f"{before!r}, as in the store")
    added = tuple(one for one in declared.attributes if one.name not in stored.attribute_names)
    for attribute in added:
        if not attribute.is_nullable:
            _refuse(
                where,
                f"new attribute {attribute.name!r} that may not be null",
                "one that may: the features that are there have no value yet",
            )
    return added


def _refuse(where: str, found: str, expected: str) -> NoReturn:
    raise DeclarationError(
        where=where,
        found=found,
        expected=expected,
        remedy="undo the change, or declare a new layer",
    )


def _untitled(layer: Layer) -> Layer:
    blank = Title(zh="", en="")
    attributes = tuple(replace(attribute, title=blank) for attribute in layer.attributes)
    return replace(layer, title=blank, attributes=attributes)


def read(text: str) -> Layer:
    """Return the contract that `write` gave."""
    data = json.loads(text)
    attributes = tuple(
        Attribute(
            **{
                **attribute,
                "type": AttributeType(attribute["type"]),
                "title": Title(**attribute["title"]),
                "codes": tuple(attribute["codes"]),
            }
        )
        for attribute in data.pop("attributes")
    )
    return Layer(
        **{
            **data,
            "title": Title(**data["title"]),
            "geometry": GeometryType(data["geometry"]),
            "key": tuple(data["key"]),
            "attributes": attributes,
        }
    )
