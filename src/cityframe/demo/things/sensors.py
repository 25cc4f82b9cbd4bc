"""Sensors of a stretch, on the kerb beside the crossings."""

import numpy as np
import pandas as pd
import shapely

from cityframe.demo.layout.plan import CityPlan
from cityframe.demo.things.stretch import Stretch, fresh

SENSOR_TYPES = ("water-pressure", "water-flow", "sewer-level", "traffic-count", "air-quality")
MAX_SENSORS = 2000
RESERVED_SENSORS = 0.12
_KERB_M = 7.0


def sensors(plan: CityPlan, stretch: Stretch) -> pd.DataFrame:
    """Return the sensors: at every second crossing, in a large city at fewer."""
    step = max(2, -(-plan.nodes // MAX_SENSORS))
    crossing = np.arange(stretch.first, stretch.stop)
    crossing = crossing[crossing % step == 0]
    row, column = np.divmod(crossing, plan.columns + 1)
    place = np.column_stack([plan.x[column] + _KERB_M, plan.y[row] + _KERB_M])
    random = stretch.random(plan, 7)
    kind = np.array(SENSOR_TYPES, dtype=object)[crossing // step % len(SENSOR_TYPES)]
    sensor_id = [f"CG{one:08d}" for one in crossing]
    installed = np.datetime64("2018-01-01") + random.integers(0, 1700, len(crossing))
    return fresh(
        pd.DataFrame(
            {
                "sensor_id": sensor_id,
                "sensor_type": kind,
                "status": random.choice(["active", "maintenance"], len(crossing), p=[0.95, 0.05]),
                "stream": [f"{one}/{number}" for one, number in zip(kind, sensor_id, strict=True)],
                "installed_on": installed,
                "calibrated_on": installed + random.integers(30, 400, len(crossing)),
                "geometry": shapely.points(plan.place(place)),
                "is_swapped": False,
            }
        ),
        random.random(len(crossing)) >= RESERVED_SENSORS,
    )
