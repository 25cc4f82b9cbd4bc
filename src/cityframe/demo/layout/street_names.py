"""Names of streets: one stem a line, with the part of the city in front of the kind of street."""

import numpy as np

from cityframe.demo.arrays import Flags, Ints
from cityframe.demo.layout import names
from cityframe.demo.layout.plan import ARTERIAL, LOCAL, CityPlan


def road_names(plan: CityPlan, is_east_west: Flags, line: Ints, part: Ints) -> list[str]:
    """Return the names of streets by line and part of the city."""
    order = np.random.default_rng([plan.seed, 5]).permutation(len(plan.x) + len(plan.y))
    ends = {2: "西东", 3: "西中东"}[plan.districts.parts[0]]
    sides = {2: "南北", 3: "南中北"}[plan.districts.parts[1]]
    kinds = {ARTERIAL: "大道", LOCAL: "街"}
    east_west = [
        [
            names.road_stem(int(order[place])) + end + kinds.get(int(plan.y_class[place]), "路")
            for end in ends
        ]
        for place in range(len(plan.y))
    ]
    north_south = [
        [
            names.road_stem(int(order[len(plan.y) + place]))
            + end
            + kinds.get(int(plan.x_class[place]), "路")
            for end in sides
        ]
        for place in range(len(plan.x))
    ]
    return [
        (east_west if across else north_south)[at][which]
        for across, at, which in zip(is_east_west, line, part, strict=True)
    ]
