"""Counts of the findings in a report's GeoPackage, by delivery."""

from pathlib import Path

import pandas as pd
import pyogrio

_COLUMNS = (
    "delivery", "layer", "rule", "defect_class", "gate", "state", "uid", "source_key", "record",
    "is_waived",
)  # fmt: skip


def findings_of_source(geopackage: Path, source: str) -> pd.DataFrame:
    """Return the findings that the deliveries of a source are to blame for, without their places.

    Parameters
    ----------
    geopackage : Path
        ``findings.gpkg`` of a report; one written before findings had a state will do.

    Returns
    -------
    DataFrame
        ``delivery, layer, rule, defect_class, gate, state, is_waived`` and ``feature``: what the
        finding is about, equal for findings about the same feature or record.
    """
    tables = [str(name) for name, _ in pyogrio.list_layers(geopackage)]
    parts = [_table(geopackage, name, source) for name in tables if name.startswith("findings")]
    every = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    record = every["record"].astype("Int64").astype("str").fillna("")
    feature = every["uid"].where(every["uid"] != "", every["source_key"])
    every["feature"] = every["layer"] + "\x1f" + feature.where(feature != "", record)
    return every.drop(columns=["uid", "source_key", "record"])


def _table(geopackage: Path, name: str, source: str) -> pd.DataFrame:
    known = set(pyogrio.read_info(geopackage, layer=name)["fields"])
    frame: pd.DataFrame = pyogrio.read_dataframe(
        geopackage,
        layer=name,
        columns=[column for column in _COLUMNS if column in known],
        where=f"delivery LIKE '{source}.%'",
        read_geometry=False,
    )
    if "state" not in known:
        frame["state"] = ""
    # in LIKE an underscore stands for any character
    mine = frame["delivery"].str.rpartition(".")[0] == source if len(frame) else slice(None)
    return frame[mine].astype({"is_waived": "bool"})
