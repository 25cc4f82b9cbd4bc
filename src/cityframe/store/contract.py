"""A layer's contract as JSON, as the store and packages keep it."""

import json
from dataclasses import asdict, replace

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title


def write(layer: Layer) -> str:
    """Return a contract as canonical JSON."""
    return json.dumps(asdict(layer), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def is_same(left: Layer, right: Layer) -> bool:
    """Return whether two contracts ask the same of data; titles do not count."""
    return _untitled(left) == _untitled(right)


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
