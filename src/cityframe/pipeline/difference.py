"""The difference between any two releases, layer by layer."""

from cityframe.pipeline.city import City
from cityframe.store.difference import LayerDifference, difference_of

__all__ = ["LayerDifference", "difference"]


def difference(
    city: City, older: int, newer: int, *, layer: str | None = None
) -> list[LayerDifference]:
    """Return what differs between two releases.

    Parameters
    ----------
    city : City
        The city.
    older, newer : int
        Release numbers; 0 is the empty framework. ``older`` may be the later one: the difference
        is then the inverse.
    layer : str, optional
        Only this layer.

    Raises
    ------
    DeclarationError
        If there is no such release or layer.
    """
    for number in (older, newer):
        if number != 0:
            city.framework.release(number)
    contracts = city.framework.contracts()
    if layer is not None:
        contracts = {layer: city.framework.contract(layer)}
    found = [difference_of(city.framework, one, older, newer) for one in contracts.values()]
    return [one for one in found if len(one.features)]
