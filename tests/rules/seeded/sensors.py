"""Defects sown for the kinds about the series of sensors.

A hundred sensors give a value every ten minutes for four days: a daily wave with noise, and, near
the limits, sensors that are good. Each kind has its own spoilt sensors; the layer is that of the
sensors (their feeds bring the values), or one of observations.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.rules.conformance import AS_OF, Sowing

COUNT, LENGTH, STEP_S = 100, 576, 600
END = pd.Timestamp(AS_OF)
NAMES = np.array([f"S-{number:03d}" for number in range(COUNT)], dtype=object)


def layer(geometry: GeometryType, **types: AttributeType) -> Layer:
    return Layer(
        name="sensors", title=Title(zh="传感器", en="Sensors"), geometry=geometry,
        crs="EPSG:4547", precision_m=0.001, accuracy_m=0.25, key=(),
        attributes=tuple(
            Attribute(name=name, type=kind, title=Title(zh=name, en=name))
            for name, kind in types.items()
        ),
    )  # fmt: skip


SENSORS = layer(GeometryType.POINT, stream=AttributeType.STRING)
TEXT, TIME, REAL = AttributeType.STRING, AttributeType.DATETIME, AttributeType.REAL


def sensors() -> gpd.GeoDataFrame:
    places = shapely.points(500000 + 20.0 * np.arange(COUNT), np.full(COUNT, 3400000.0))
    columns = {"uid": NAMES.astype(str), "stream": NAMES.astype(str)}
    return gpd.GeoDataFrame(columns, geometry=places, crs=SENSORS.crs)


def values() -> np.ndarray:
    """Return clean values, a row a sensor: 15 to 25, in steps of at most 0.4."""
    rng = np.random.default_rng(7)
    phase = 2 * np.pi * np.arange(LENGTH) * STEP_S / 86400
    wave = 20 + 4 * np.sin(phase[None, :] + rng.uniform(0, 6, COUNT)[:, None])
    return np.round(wave + rng.uniform(-0.1, 0.1, (COUNT, LENGTH)), 3)


def times() -> pd.DatetimeIndex:
    """Return the times of the values; the last one is ten minutes before the check."""
    step = pd.to_timedelta(STEP_S * np.arange(LENGTH, 0, -1), unit="s")
    return pd.DatetimeIndex(END - step).as_unit("us")


def observations(table: np.ndarray) -> pd.DataFrame:
    """Return the observations of all sensors, each received after five seconds."""
    when = pd.Series(times())
    frame = pd.DataFrame(
        {
            "stream": pd.Series(np.repeat(NAMES, LENGTH), dtype="str"),
            "time": pd.concat([when] * COUNT, ignore_index=True),
            "value": table.ravel(),
        }
    )
    return frame.assign(received=frame["time"] + pd.Timedelta(5, unit="s"))


def of_feeds(parameters: dict, spoilt: list[int], table: np.ndarray) -> Sowing:
    return Sowing(
        SENSORS,
        sensors(),
        {"stream": "stream", **parameters},
        frozenset(NAMES[spoilt]),
        observations=observations(table),
    )


def gross_range() -> Sowing:
    table = values()
    table[3, 100], table[17, :] = 60.0, -9999.0
    table[40, 570:], table[41, 0] = 30.1, 9.9
    table[50, 20], table[51, 20] = 30.0, 10.0
    return of_feeds(
        {"fail_min": 0, "fail_max": 50, "suspect_min": 10, "suspect_max": 30},
        [3, 17, 40, 41],
        table,
    )


def value_spike() -> Sowing:
    table = values()
    table[5, 300] += 8.0
    table[6, 1] -= 3.0
    table[7, [50, 60, 70]] += 4.0
    table[8, 200:203] += 5.0
    table[20, 0] += 3.0
    table[21, 100] += 1.4
    table[22, 101] = np.nan
    return of_feeds({"suspect_above": 2.0, "fail_above": 6.0}, [5, 6, 7, 8], table)


def rate_of_change() -> Sowing:
    table = values()
    table[9, 300:] += 3.0
    table[10, 575] += 4.0
    table[11, 1:] -= 20.0
    table[30, 200:] += 1.0
    table[31, 200:] += np.minimum(np.arange(376) * 0.8, 12.0)
    return of_feeds({"suspect_per_h": 9.0, "fail_per_h": 60.0}, [9, 10, 11], table)


def flat_line() -> Sowing:
    table = values()
    table[12, 100:119] = 20.0
    table[13, 300:] = table[13, 300]
    table[14, 400:440] = 20 + 0.004 * (np.arange(40) % 2)
    table[32, 100:118] = 20.0
    table[33, 100:140] = 20 + 0.02 * (np.arange(40) % 2)
    return of_feeds({"suspect_s": 10800, "fail_s": 21600, "tolerance": 0.01}, [12, 13, 14], table)


def attenuated_signal() -> Sowing:
    table = values()
    table[15, 150:] = 20 + (table[15, 150:] - 20) * 0.05
    table[16, 200:420] = 18.0
    table[34, 150:] = 20 + (table[34, 150:] - 20) * 0.5
    table[35, 200:280] = 18.0
    return of_feeds({"window_s": 86400, "suspect_below": 0.5, "fail_below": 0.05}, [15, 16], table)


def climatology() -> Sowing:
    table = values()
    at_night = times().tz_convert("Asia/Shanghai").hour < 6
    table[18, at_night], table[19, np.flatnonzero(at_night)[5]] = 29.0, 12.0
    table[36, ~at_night] = 29.0
    seasons = [
        {"unit": "month", "first": 1, "last": 12, "suspect_min": 10, "suspect_max": 30},
        {
            "unit": "hour",
            "first": 0,
            "last": 5,
            "suspect_min": 14,
            "suspect_max": 26,
            "fail_min": 0,
        },
    ]
    return of_feeds({"seasons": seasons}, [18, 19], table)


def time_gap() -> Sowing:
    frame = observations(values())
    stream, place = np.divmod(np.arange(len(frame)), LENGTH)
    is_late = (stream == 26) & (place == 9)
    frame.loc[is_late, "received"] += pd.Timedelta(2, unit="h")
    frame.loc[(stream == 27) & (place == 9), "received"] += pd.Timedelta(3595, unit="s")
    gone = (
        ((stream == 23) & (place >= 100) & (place < 106))
        | ((stream == 24) & (place > 560))
        | (stream == 25)
        | ((stream == 37) & (place >= 100) & (place < 105))
        | ((stream == 38) & (place > 569))
    )
    parameters = {
        "stream": "stream", "suspect_s": 3600, "fail_s": 86400, "silent_s": 4200, "late_s": 3600,
    }  # fmt: skip
    return Sowing(
        SENSORS,
        sensors(),
        parameters,
        frozenset(NAMES[[23, 24, 25, 26]]),
        observations=frame[~gone].reset_index(drop=True),
    )


def sensor_location() -> Sowing:
    frame = sensors()
    frame.geometry = frame.geometry.where(frame["uid"] != "S-070", None)
    moved = {2: (5e5, 3.5e6), 28: (3.4e6, 5e5), 29: (0.0, 0.0), 60: (499990.0, 3400010.0)}
    for number, place in moved.items():
        frame.loc[number, "geometry"] = shapely.Point(place)
    bounds = [499990, 3399990, 502000, 3400010]
    parameters = {"stream": "stream", "bounds": bounds}
    return Sowing(SENSORS, frame, parameters, frozenset(NAMES[[2, 28, 29]]))


def message_syntax() -> Sowing:
    raw = layer(GeometryType.NONE, stream=TEXT, seen_at=TIME, raw=TEXT)
    table = observations(values()).iloc[: 5 * LENGTH].reset_index(drop=True)
    texts = table["stream"] + ";" + table["value"].astype(str) + ";ok"
    spoilt = {100: "S-000;20.1", 700: "", 701: "S-001;20;ok;", 2000: "S-003,20,ok"}
    texts = texts.mask(texts.index.isin(spoilt), pd.Series(spoilt))
    texts[1500] = pd.NA
    frame = gpd.GeoDataFrame(
        {
            "uid": [f"o{row:04d}" for row in range(len(table))],
            "stream": table["stream"],
            "seen_at": table["time"],
            "raw": texts.astype("str"),
        },
        geometry=gpd.GeoSeries([None] * len(table)),
    )
    parameters = {
        "stream": "stream", "time": "seen_at", "message": "raw", "items": 3, "delimiter": ";",
    }  # fmt: skip
    return Sowing(raw, frame, parameters, frozenset({"o0100", "o0700", "o2000"}))


SOWINGS = {
    "attenuated_signal": attenuated_signal,
    "climatology": climatology,
    "flat_line": flat_line,
    "gross_range": gross_range,
    "message_syntax": message_syntax,
    "rate_of_change": rate_of_change,
    "sensor_location": sensor_location,
    "time_gap": time_gap,
    "value_spike": value_spike,
}
