import pytest

from cityframe.config.document import read_declaration
from cityframe.errors import DeclarationError
from cityframe.products.subscriber import SubscriberMapping
from cityframe.products.subscriber.mapping import layer_table


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.yaml", "layers:\n  buildings: {table: jianzhu, columns: {floors: cengshu}}\n"),
        (
            "own.json",
            '{"layers": {"buildings": {"table": "jianzhu", "columns": {"floors": "cengshu"}}}}',
        ),
    ],
)
def test_a_mapping_is_read_from_yaml_and_json(tmp_path, rows, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    table = layer_table(rows.buildings, read_declaration(path, SubscriberMapping))
    assert (table.name, table.uid, table.geometry) == ("jianzhu", "uid", "geom")
    assert dict(table.columns)["floors"] == "cengshu"
    assert dict(table.columns)["name"] == "name"


def test_an_unknown_field_is_refused(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("layers:\n  buildings: {tabel: jianzhu}\n", encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"own.yaml:2"):
        read_declaration(path, SubscriberMapping)
