"""How findings tell the size of a place."""

import numpy as np
import shapely

from cityframe.rules.context import Geometries
from cityframe.rules.words import Words, words

_EN = {-1: "nothing", 0: "a point", 1: "{:.2f} m", 2: "{:.2f} m²"}
_ZH = {-1: "无", 0: "一点", 1: "{:.2f} m", 2: "{:.2f} m²"}


def sized(en: str, zh: str, places: Geometries) -> Words:
    """Return texts that tell the area, else the length of each place; a point has neither.

    Parameters
    ----------
    en, zh : str
        Templates with ``{size}``.
    places : ndarray of n geometries
        In a projected CRS in metres; what counts of a collection is its highest dimension.

    Examples
    --------
    >>> sized("{size} outside", "{size} 在外", [shapely.box(0, 0, 1, 2)]).en
    ['2.00 m² outside']
    """
    dimension = shapely.get_dimensions(places)
    size = np.where(dimension == 2, shapely.area(places), shapely.length(places))
    pairs = list(zip(dimension.tolist(), size.tolist(), strict=True))
    one, two = ([texts[of].format(value) for of, value in pairs] for texts in (_EN, _ZH))
    return Words(words(en, "", size=one).en, words("", zh, size=two).zh)
