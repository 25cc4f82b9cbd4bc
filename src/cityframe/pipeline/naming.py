"""Named releases: one view a layer, for people and QGIS."""

import re

from cityframe.errors import DeclarationError
from cityframe.pipeline.city import City
from cityframe.store.views import drop_views, name_views, named_views

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,30}$")


def name_release(city: City, number: int, name: str) -> list[str]:
    """Create a view of each layer as a release has it, and return their names: ``LAYER_NAME``.

    Raises
    ------
    DeclarationError
        If there is no such release, or the name is taken or not a name.
    """
    if not _NAME.match(name):
        raise DeclarationError(
            found=f"name {name!r}", expected="a small letter, then small letters, digits and _"
        )
    known = named_views(city.framework)
    if known.get(name, number) != number:
        raise DeclarationError(
            found=f"name {name!r} stands for release {known[name]}",
            remedy="choose another, or drop it with `cityframe release unname`",
        )
    return name_views(city.framework, number, name)


def unname_release(city: City, name: str) -> list[str]:
    """Drop the views of a name and return what they were called.

    Raises
    ------
    DeclarationError
        If there is no such name.
    """
    known = named_views(city.framework)
    if name not in known:
        raise DeclarationError(
            found=f"no name {name!r}", expected=f"one of {', '.join(sorted(known)) or 'none yet'}"
        )
    return drop_views(city.framework, name)
