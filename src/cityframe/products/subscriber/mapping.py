"""Where a subscriber keeps a layer: table and columns under names of the subscriber's own.

A mapping is a YAML or JSON file; what it does not name has the framework's own name::

    layers:
      buildings:
        table: jianzhu
        uid: bianhao
        geometry: shape
        columns: {floors: cengshu}
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from cityframe.config.document import Declaration
from cityframe.errors import DeclarationError
from cityframe.model.layer import Attribute, GeometryType, Layer

VALID_FROM = "valid_from"


class LayerMapping(Declaration):
    """Names of one layer's table and columns.

    Attributes
    ----------
    table : str
        The table; empty for the layer's name.
    uid, geometry, valid_from : str
        Columns. A table that has no column ``valid_from`` does without.
    columns : mapping
        Attribute of the contract to column, where they differ.
    """

    table: str = ""
    uid: str = "uid"
    geometry: str = "geom"
    valid_from: str = VALID_FROM
    columns: Mapping[str, str] = Field(default_factory=dict)


class SubscriberMapping(Declaration):
    """Names of all layers' tables; a layer that is not named has the framework's names."""

    layers: Mapping[str, LayerMapping] = Field(default_factory=dict)


@dataclass(frozen=True)
class LayerTable:
    """The table of one layer in the subscriber's database.

    Attributes
    ----------
    layer : Layer
        The contract that its rows have.
    columns : mapping
        Each attribute of the contract to its column, in the order of the contract.
    """

    layer: Layer
    name: str
    uid: str
    geometry: str
    valid_from: str
    columns: Mapping[str, str]

    @property
    def has_geometry(self) -> bool:
        """Whether there is a geometry column."""
        return self.layer.geometry is not GeometryType.NONE

    def attributes(self) -> list[tuple[Attribute, str]]:
        """Return each attribute of the contract with its column."""
        return [(attribute, self.columns[attribute.name]) for attribute in self.layer.attributes]


def layer_table(layer: Layer, mapping: SubscriberMapping) -> LayerTable:
    """Return where a layer is kept.

    Raises
    ------
    DeclarationError
        If the mapping gives one column to two things.
    """
    names = mapping.layers.get(layer.name, LayerMapping())
    columns = {name: names.columns.get(name, name) for name in layer.attribute_names}
    used = [names.uid, names.valid_from, *columns.values()]
    if layer.geometry is not GeometryType.NONE:
        used.append(names.geometry)
    # SQLite tells no upper case from lower
    folded = [name.casefold() for name in used]
    if twice := sorted({name for name in folded if folded.count(name) > 1}):
        raise DeclarationError(
            where=f"mapping of layer {layer.name}",
            found=f"column {twice[0]} for two things",
            expected="a column for each",
            remedy="give one of them another column in the mapping",
        )
    return LayerTable(
        layer=layer,
        name=names.table or layer.name,
        uid=names.uid,
        geometry=names.geometry,
        valid_from=names.valid_from,
        columns=columns,
    )


def check_mapping(mapping: SubscriberMapping, layers: list[Layer], where: str) -> None:
    """Check that a mapping names layers and attributes that there are, each table once.

    Raises
    ------
    DeclarationError
        If it does not.
    """
    contracts = {layer.name: layer for layer in layers}
    for name, names in mapping.layers.items():
        known = contracts[name].attribute_names if name in contracts else ()
        strange = [] if name not in contracts else sorted(set(names.columns) - set(known))
        if name not in contracts or strange:
            raise DeclarationError(
                where=where,
                found=f"layer {name}" + (f" attribute {strange[0]}" if strange else ""),
                expected=", ".join(known if strange else sorted(contracts)),
                remedy="mend the mapping",
            )
    tables = [layer_table(layer, mapping).name.casefold() for layer in layers]
    if twice := sorted({name for name in tables if tables.count(name) > 1}):
        raise DeclarationError(
            where=where,
            found=f"table {twice[0]} for two layers",
            expected="a table for each layer",
            remedy="mend the mapping",
        )
