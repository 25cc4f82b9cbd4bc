"""Put templates at their places, and draw days."""

import numpy as np
import shapely

from cityframe.demo.arrays import Days, Floats, Geometries, Ints
from cityframe.demo.layout.plan import CityPlan


def placed(plan: CityPlan, geometry: Geometries, offset: Floats) -> Geometries:
    """Return geometries of templates at their places; ``offset`` has a row for each."""
    per_vertex = np.repeat(offset, shapely.get_num_coordinates(geometry), axis=0)
    moved: Geometries = shapely.transform(geometry, lambda xy: plan.place(xy + per_vertex))
    return moved


def random_days(random: np.random.Generator, first_year: Ints, last_year: Ints) -> Days:
    """Return a random day in each span of years."""
    start = np.array(first_year - 1970, dtype="datetime64[Y]").astype("datetime64[D]")
    days = (last_year - first_year) * 365
    dates: Days = start + (random.random(len(start)) * days).astype("timedelta64[D]")
    return dates
