"""The same work by other programs, where they install."""

import importlib.util
from typing import Any

import numpy as np
import pandas as pd
import shapely
from store_cost.measure import Meter

from quality_cost.city import USES, city

Sizes = tuple[int, int, int]


def measure_shapely(meter: Meter, sizes: Sizes) -> dict[str, int]:
    """Measure validity, overlap and cover by GEOS alone, as the kinds use it."""
    from quality_cost.kinds import inside_bare, overlaps_bare

    made = city(*sizes)
    parcels = np.asarray(made.frames["parcels"].geometry, dtype=object)
    with meter("validity"):
        invalid = int((~shapely.is_valid(parcels)).sum())
    with meter("overlap"):
        overlaps_bare(parcels)
    with meter("cover"):
        inside_bare(made)
    return {"invalid": invalid}


def measure_postgis(meter: Meter, sizes: Sizes, url: str) -> dict[str, int]:
    """Measure validity, overlap and cover in PostGIS, over tables loaded and indexed before."""
    import psycopg

    made = city(*sizes)
    with psycopg.connect(url, autocommit=True) as connection:
        meter.watch_server(connection.info.backend_pid)
        for layer in ("parcels", "addresses"):
            _load(connection, layer, np.asarray(made.frames[layer].geometry, dtype=object))
        with meter("validity"):
            _one(connection, "select count(*) from q_parcels where not st_isvalid(geom)")
        with meter("overlap"):
            pairs = _one(
                connection,
                "select count(*) from q_parcels a join q_parcels b on a.id < b.id"
                " and a.geom && b.geom and st_relate(a.geom, b.geom, '2********')",
            )
        with meter("cover"):
            _one(
                connection,
                "select count(*) from q_addresses a join q_parcels p"
                " on st_intersects(p.geom, a.geom)",
            )
        for layer in ("parcels", "addresses"):
            connection.execute(f"drop table q_{layer}")
    return {"overlaps": pairs}


def _load(connection: Any, layer: str, geometry: Any) -> None:
    connection.execute(f"drop table if exists q_{layer}")
    connection.execute(f"create table q_{layer} (id int, geom geometry)")
    with connection.cursor().copy(f"copy q_{layer} from stdin") as copy:
        for row, wkb in enumerate(shapely.to_wkb(geometry, hex=True).tolist()):
            copy.write_row((row, wkb))
    connection.execute(f"create index on q_{layer} using gist (geom)")
    connection.execute(f"analyze q_{layer}")


def _one(connection: Any, statement: str) -> int:
    (value,) = connection.execute(statement).fetchone()
    return int(value)


def measure_sedona(meter: Meter, sizes: Sizes) -> dict[str, int]:
    """Measure validity, overlap and cover in SedonaDB."""
    import sedonadb

    made = city(*sizes)
    session = sedonadb.connect()
    for layer in ("parcels", "addresses"):
        session.create_data_frame(made.frames[layer][["uid", "geometry"]]).to_view(layer)
    queries = {
        "validity": "select count(*) from parcels where not ST_IsValid(geometry)",
        "overlap": "select count(*) from parcels a join parcels b on a.uid < b.uid"
        " and ST_Intersects(a.geometry, b.geometry)"
        " where ST_Area(ST_Intersection(a.geometry, b.geometry)) > 0.05",
        "cover": "select count(*) from addresses a join parcels p"
        " on ST_Intersects(p.geometry, a.geometry)",
    }
    counts = {}
    for name, query in queries.items():
        with meter(name):
            counts[name] = int(session.sql(query).to_pandas().iloc[0, 0])
    return counts


def measure_pandera(meter: Meter, sizes: Sizes) -> int:
    """Check twenty attributes with pandera, lazily."""
    import pandera.pandas as pa

    frame = pd.DataFrame(city(1, sizes[1], 1).frames["addresses"].drop(columns="geometry"))
    checks = {
        "number": [pa.Check.str_matches(r"N\d+$")],
        "street": [pa.Check.str_matches(r"滨江路\d+$")],
        "house": [pa.Check.in_range(0, 9999)],
        "floors": [pa.Check.in_range(1, top) for top in (120, 99, 80)],
        "height_m": [pa.Check.in_range(0, 500)],
        "use": [pa.Check.isin(USES), pa.Check.isin([*USES, "other"])],
        "postcode": [pa.Check.str_matches(r"31\d{4}$")],
        "surveyed_on": [pa.Check.gt(pd.Timestamp("1900-01-01"))],
    }
    schema = pa.DataFrameSchema(
        {name: pa.Column(checks=checks[name], nullable=False) for name in checks},
        unique=["number"],
    )
    with meter("20 attribute rules"):
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            return len(error.failure_cases)
    return 0


def is_installed(name: str) -> bool:
    """Tell whether a peer can be measured."""
    return importlib.util.find_spec(name) is not None
