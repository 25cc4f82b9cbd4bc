"""The layers of the demo city and their keys."""

KEYS: dict[str, str] = {
    "boundaries": "code",
    "roads": "road_id",
    "parcels": "parcel_id",
    "buildings": "building_id",
    "addresses": "address_id",
    "pois": "poi_id",
    "water_nodes": "node_id",
    "water_pipes": "pipe_id",
    "sewer_nodes": "node_id",
    "sewer_pipes": "pipe_id",
    "sensors": "sensor_id",
}
"""Key attribute of each layer."""
