"""How QGIS draws the findings: a style by defect class for each geometry type.

QGIS takes the default style of a GeoPackage's table from its table ``layer_styles``, so the file
alone is enough to see the findings as the page shows them.
"""

from xml.etree import ElementTree as ET

from cityframe.model.text import Title
from cityframe.products.report.field_titles import CLASSES, FIELD_TITLES, both

STYLE_NAME = "defect class"
# one colour a class; what is waived or fixed is pale, whatever its class
_COLOURS = {"A": "178,58,0", "B": "213,110,0", "C": "204,155,0", "D": "0,85,140"}
_LOOKS = {
    **{name: (both(CLASSES[name]), colour) for name, colour in _COLOURS.items()},
    "waived": (both(Title("例外", "waived")), "120,130,140"),
    "fixed": (both(Title("已消除", "fixed")), "63,125,78"),
}
_LOOK_OF_ROW = (
    "CASE WHEN \"state\" = 'fixed' THEN 'fixed' WHEN \"is_waived\" THEN 'waived' "
    'ELSE "defect_class" END'
)
_SYMBOLS = {
    "point": ("marker", "SimpleMarker"),
    "line": ("line", "SimpleLine"),
    "polygon": ("fill", "SimpleFill"),
}
_PALE = ("waived", "fixed")


def style_qml(geometry: str) -> str:
    """Return the QML of a table of findings.

    Parameters
    ----------
    geometry : str
        ``point``, ``line`` or ``polygon``.
    """
    root = ET.Element("qgis", version="3.28.0", styleCategories="Symbology|Fields")
    renderer = ET.SubElement(
        root, "renderer-v2", type="categorizedSymbol", attr=_LOOK_OF_ROW, symbollevels="0",
        enableorderby="0", forceraster="0",
    )  # fmt: skip
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    kind, drawn_by = _SYMBOLS[geometry]
    for number, (value, (label, colour)) in enumerate(_LOOKS.items()):
        ET.SubElement(
            categories, "category", value=value, type="string", label=label, symbol=str(number),
            render="true",
        )  # fmt: skip
        symbol = ET.SubElement(
            symbols, "symbol", name=str(number), type=kind, alpha="1", clip_to_extent="1",
            force_rhr="0",
        )  # fmt: skip
        layer = ET.SubElement(
            symbol, "layer", {"class": drawn_by, "enabled": "1", "locked": "0", "pass": "0"}
        )
        options = ET.SubElement(layer, "Option", type="Map")
        for name, setting in _options(geometry, colour, is_pale=value in _PALE).items():
            ET.SubElement(options, "Option", name=name, type="QString", value=setting)
    aliases = ET.SubElement(root, "aliases")
    for index, (field, title) in enumerate(FIELD_TITLES.items()):
        ET.SubElement(aliases, "alias", field=field, index=str(index), name=both(title))
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode")


def _options(geometry: str, colour: str, *, is_pale: bool) -> dict[str, str]:
    if geometry == "line":
        return {
            "line_color": f"{colour},255", "line_width": "0.8", "line_width_unit": "MM",
            "line_style": "dash" if is_pale else "solid", "capstyle": "round", "joinstyle": "round",
        }  # fmt: skip
    if geometry == "polygon":
        return {
            "color": f"{colour},{20 if is_pale else 90}", "style": "solid",
            "outline_color": f"{colour},255", "outline_style": "dash" if is_pale else "solid",
            "outline_width": "0.5", "outline_width_unit": "MM",
        }  # fmt: skip
    return {
        "name": "circle", "size": "3", "size_unit": "MM",
        "color": f"{colour},{0 if is_pale else 255}",
        "outline_color": f"{colour},255" if is_pale else "255,255,255,255",
        "outline_style": "solid", "outline_width": "0.4", "outline_width_unit": "MM",
    }  # fmt: skip
