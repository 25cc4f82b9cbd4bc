"""The home in PostGIS: rows in are rows out, what it refuses, what a lost connection leaves."""

import datetime as dt
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import shapely
import sqlalchemy as sa

from cityframe.errors import DeclarationError, IntegrityError, SourceUnreachableError
from cityframe.model.layer import Attribute, AttributeType, GeometryType, Layer
from cityframe.model.text import Title
from cityframe.store import postgis_home
from cityframe.store.home import COPY_COLUMNS, Bulk
from cityframe.store.postgis_home import PostgisHome
from cityframe.store.tables import METADATA, RELEASE, history_schema, history_table

YEAR = {year: dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in range(1990, 2031)}
SHAPES = {
    GeometryType.POINT: "POINT Z (1 2 3)",
    GeometryType.MULTIPOINT: "MULTIPOINT Z (1 2 3, 4 5 6)",
    GeometryType.LINESTRING: "LINESTRING Z (1 2 3, 4 5 6)",
    GeometryType.MULTILINESTRING: "MULTILINESTRING Z ((1 2 3, 4 5 6))",
    GeometryType.POLYGON: "POLYGON Z ((0 0 1, 1 0 1, 1 1 2, 0 0 1))",
    GeometryType.MULTIPOLYGON: "MULTIPOLYGON Z (((0 0 1, 1 0 1, 1 1 2, 0 0 1)))",
}


def plain(name: str, kind: GeometryType = GeometryType.POLYGON, **fields: Any) -> Layer:
    title = Title(zh=name, en=name)
    return Layer(
        name=name,
        title=title,
        geometry=kind,
        crs="EPSG:4547",
        precision_m=0.001,
        accuracy_m=0.25,
        key=(),
        attributes=tuple(
            Attribute(name=f"a_{kind}", type=kind, title=title) for kind in AttributeType
        ),
        **fields,
    )


def history(layer: Layer, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """History rows; what is not given is plain."""
    usual = {
        "valid_from": YEAR[2000], "release_from": 1, "digest": b"d" * 16, "seal": b"s" * 16,
        "delivery": "survey.1", "has_new_attributes": False,
    }  # fmt: skip
    return pa.Table.from_pylist([{**usual, **row} for row in rows], schema=history_schema(layer))


@pytest.fixture
def home(postgis_url: str) -> PostgisHome:
    """A home in a schema of its own, without layers."""
    home = PostgisHome(f"{postgis_url}?schema=s{uuid.uuid4().hex}")
    with home.transaction() as connection:
        home.create(connection)
        METADATA.create_all(connection)
    return home


Filled = Callable[[Layer, Sequence[dict[str, Any]]], None]


@pytest.fixture
def fill(home: PostgisHome) -> Filled:
    """Make a layer with its first rows."""

    def make(layer: Layer, rows: Sequence[dict[str, Any]]) -> None:
        batches = history(layer, rows).to_batches(max_chunksize=2)
        with home.transaction() as connection:
            home.create_layer(connection, layer)
            home.add_bulk(connection, Bulk(layer, batches))
            home.index_layer(connection, layer)

    return make


def stored(home: PostgisHome, layer: Layer) -> pa.Table:
    table = history_table(layer)
    columns = [column for column in table.c if column.name != "fid"]
    return pa.Table.from_batches(home.read(sa.select(*columns).order_by(table.c.fid)))


def fids(home: PostgisHome, layer: Layer) -> list[int]:
    table = history_table(layer)
    rows = pa.Table.from_batches(home.read(sa.select(table.c.fid).order_by(table.c.fid)))
    return rows["fid"].to_pylist()


VALUES = {
    "a_string": "云川市 𠀀 \\ '",
    "a_integer": -(1 << 53),
    "a_real": 0.1,
    "a_boolean": True,
    "a_date": dt.date(1899, 12, 31),
    "a_datetime": dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC),
}


@pytest.mark.parametrize("has_z", [False, True])
@pytest.mark.parametrize("kind", [*SHAPES, GeometryType.NONE])
def test_rows_in_are_rows_out(
    home: PostgisHome, fill: Filled, kind: GeometryType, has_z: bool
) -> None:
    layer = plain("things", kind, has_z=has_z)
    geom = {}
    if kind is not GeometryType.NONE:
        shape = shapely.from_wkt(SHAPES[kind])
        wkb = shapely.to_wkb(shape, output_dimension=3 if has_z else 2, flavor="iso", byte_order=1)
        geom = {"geom": wkb}
    rows = [
        {"uid": "u1", **VALUES, **geom, "record": 1 << 40, "basis": "key", "change": "new"},
        {"uid": "u2", "valid_to": YEAR[2001]},
        {"uid": "u3", **VALUES, **geom, "ended_by": "survey.2", "release_to": 2},
    ]
    fill(layer, rows)
    more = history(layer, [{"uid": "u4", **VALUES, **geom}, {"uid": "u5"}])
    with home.transaction() as connection:
        home.add_rows(connection, layer, more)
    found = stored(home, layer)
    assert found.schema == history_schema(layer)
    assert found.equals(pa.concat_tables([history(layer, rows), more]))


def test_no_rows_have_the_types_of_rows(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    fill(layer, [])
    found = stored(home, layer)
    assert found.num_rows == 0
    assert found.schema == history_schema(layer)


def test_text_in_a_condition_stays_text(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    texts = ["100% :x %s", "it's", "back\\slash"]
    fill(layer, [{"uid": f"u{n}", "a_string": text} for n, text in enumerate(texts)])
    table = history_table(layer)
    for text in texts:
        query = sa.select(table.c.a_string).where(table.c.a_string == text)
        assert pa.Table.from_batches(home.read(query))["a_string"].to_pylist() == [text]


def test_the_box_is_compared_in_double_precision(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things", GeometryType.POINT)
    # single precision knows 3,400,000.1 as 3,400,000.0
    places = {
        "in": (500000.1, 3400000.1),
        "west": (500000.099, 3400000.1),
        "north": (500000.2, 3400000.301),
    }
    fill(layer, [{"uid": u, "geom": shapely.Point(xy).wkb} for u, xy in places.items()])
    condition = home.meets(layer, (500000.1, 3400000.1, 500000.3, 3400000.3))
    found = home.read(sa.select(history_table(layer).c.uid).where(condition))
    assert pa.Table.from_batches(found)["uid"].to_pylist() == ["in"]


def test_close_and_copy_leave_the_periods_that_are_left(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    wkb = shapely.box(0, 0, 1, 1).wkb
    fill(layer, [{"uid": "u1", **VALUES, "geom": wkb}, {"uid": "u2"}])
    row = fids(home, layer)[0]
    copy = {
        "source": row, "valid_from": YEAR[2000], "valid_to": YEAR[2010], "release_from": 2,
        "ended_by": "survey.2", "change": "reshaped", "seal": b"t" * 16,
    }  # fmt: skip
    copies = pa.Table.from_pylist([copy]).select(COPY_COLUMNS)
    new = {"uid": "u1", "valid_from": YEAR[2010], "release_from": 2}
    with home.transaction() as connection:
        home.close_rows(connection, layer, [row], 2)
        home.copy_rows(connection, layer, copies)
        home.add_rows(connection, layer, history(layer, [new]))
    del copy["source"]
    expected = [
        {"uid": "u1", **VALUES, "geom": wkb, "release_to": 2},
        {"uid": "u2"},
        {"uid": "u1", **VALUES, "geom": wkb, **copy},
        new,
    ]
    assert stored(home, layer).equals(history(layer, expected))


def test_a_row_is_closed_once(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    fill(layer, [{"uid": "u1"}])
    rows = fids(home, layer)
    with home.transaction() as connection:
        home.close_rows(connection, layer, rows, 2)
    with (
        pytest.raises(IntegrityError, match="things: 0 known rows could be closed, expected 1"),
        home.transaction() as connection,
    ):
        home.close_rows(connection, layer, rows, 3)


@pytest.mark.parametrize(
    ("row", "is_refused"),
    [
        ({"valid_from": YEAR[2005]}, True),
        ({"valid_from": YEAR[1990]}, True),
        ({"valid_from": YEAR[1990], "valid_to": YEAR[2000]}, False),
        ({"valid_from": YEAR[2010]}, False),
        ({"valid_from": YEAR[2009], "valid_to": YEAR[2010]}, True),
        ({"valid_from": YEAR[2005], "release_to": 3}, True),
        ({"uid": "u2", "valid_from": YEAR[2005]}, False),
    ],
)
def test_two_known_rows_of_one_uid_at_one_time_are_refused(
    home: PostgisHome, fill: Filled, row: dict[str, Any], is_refused: bool
) -> None:
    layer = plain("things")
    first = {"uid": "u1", "valid_to": YEAR[2010]}
    fill(layer, [first])
    second = {"uid": "u1", "release_from": 2, **row}

    def add() -> None:
        with home.transaction() as connection:
            home.add_rows(connection, layer, history(layer, [second]))

    if is_refused:
        with pytest.raises(IntegrityError, match="uid u1: two known rows hold at the same time"):
            add()
        assert stored(home, layer).equals(history(layer, [first]))
    else:
        add()


def test_two_rows_in_one_statement_are_compared_too(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    fill(layer, [])
    both = [{"uid": "u1"}, {"uid": "u1", "release_from": 2}]
    with pytest.raises(IntegrityError, match="uid u1"), home.transaction() as connection:
        home.add_rows(connection, layer, history(layer, both))
    with pytest.raises(IntegrityError, match="uid u1"):
        fill(plain("others"), both)


@pytest.mark.parametrize("change", ["valid_to = NULL", "release_to = NULL", "uid = 'u1'"])
def test_a_row_can_not_be_widened_over_another(
    home: PostgisHome, fill: Filled, change: str
) -> None:
    layer = plain("things")
    uid = "u2" if change.startswith("uid") else "u1"
    ends = {"valid_to": YEAR[2005]} if change.startswith("valid") else {}
    closed = {"release_to": 2} if change.startswith("release") else {}
    start = YEAR[2005] if change.startswith("valid") else YEAR[2000]
    fill(
        layer,
        [{"uid": uid, **ends, **closed}, {"uid": "u1", "release_from": 2, "valid_from": start}],
    )
    row = fids(home, layer)[0]
    with pytest.raises(IntegrityError, match="uid u1"), home.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE things_history SET {change} WHERE fid = {row}")


def test_a_row_that_ends_before_it_begins_is_refused(home: PostgisHome, fill: Filled) -> None:
    with pytest.raises(IntegrityError, match="check constraint"):
        fill(plain("things"), [{"uid": "u1", "valid_to": YEAR[1999]}])


def test_views_show_what_is_known_and_so(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    fill(
        layer,
        [
            {"uid": "now"},
            {"uid": "ended", "valid_to": YEAR[2010]},
            {"uid": "future", "valid_from": YEAR[2030]},
            {"uid": "closed", "release_to": 2},
        ],
    )
    releases = [(1, "2005-01-01T00:00:00Z"), (2, "2020-01-01T00:00:00Z")]
    texts = {c.name: "-" for c in RELEASE.c if isinstance(c.type, sa.Text)}
    grown = replace(
        layer,
        attributes=(
            Attribute("b_new", AttributeType.DATE, Title(zh="n", en="n")),
            *layer.attributes,
        ),
    )
    with home.transaction() as connection:
        for number, valid_at in releases:
            row = {**texts, "number": number, "valid_at": valid_at}
            own = {"cycle": f"c{number}", "digest": f"d{number}"}
            connection.execute(sa.insert(RELEASE).values({**row, **own}))
            home.name_view(connection, layer, f"release_{number}", number, valid_at)
        home.add_column(connection, grown, grown.attributes[0])

    def uids(view: str) -> set[str]:
        with home.engine.connect() as connection:
            return set(connection.exec_driver_sql(f"SELECT uid FROM {view}").scalars())

    assert uids("things") == {"now"}
    assert uids("release_1") == {"now", "ended", "closed"}
    assert uids("release_2") == {"now"}
    assert [name for name in stored(home, grown).column_names if name == "b_new"]
    with home.engine.connect() as connection:
        columns = connection.exec_driver_sql("SELECT * FROM things").keys()
        kind = "SELECT type, srid FROM public.geometry_columns WHERE f_table_name = %s"
        seen = connection.exec_driver_sql(kind, ("things",)).all()
    assert {"fid", "b_new", "geom"} <= set(columns)
    assert ("POLYGON", 4547) in [tuple(row) for row in seen]
    with home.transaction() as connection:
        home.name_view(connection, layer, "release_1", 2, releases[1][1])
        home.drop_view(connection, "release_2")
    assert uids("release_1") == {"now"}
    with pytest.raises(sa.exc.ProgrammingError, match="release_2"):
        uids("release_2")


def test_a_view_of_somebody_else_is_not_dropped(home: PostgisHome, fill: Filled) -> None:
    layer = plain("things")
    fill(layer, [])
    with home.engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW theirs AS SELECT uid FROM things")
    added = Attribute("b_new", AttributeType.DATE, Title(zh="n", en="n"))
    with (
        pytest.raises(DeclarationError, match="view theirs depends on view things"),
        home.transaction() as connection,
    ):
        home.add_column(connection, layer, added)


def terminate(url: str, connection: sa.Connection) -> None:
    driver: Any = connection.connection.driver_connection
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (driver.info.backend_pid,))


@pytest.mark.parametrize("then", ["copy", "execute", "commit"])
def test_a_connection_lost_in_a_transaction_leaves_nothing(
    home: PostgisHome, fill: Filled, postgis_url: str, then: str
) -> None:
    layer = plain("things")
    fill(layer, [{"uid": "u1"}])

    def write() -> None:
        with home.transaction() as connection:
            home.add_rows(connection, layer, history(layer, [{"uid": "u2"}]))
            terminate(postgis_url, connection)
            if then == "copy":
                home.add_rows(connection, layer, history(layer, [{"uid": "u3"}]))
            elif then == "execute":
                home.close_rows(connection, layer, [1], 2)

    with pytest.raises(SourceUnreachableError):
        write()
    assert stored(home, layer)["uid"].to_pylist() == ["u1"]


def test_a_connection_lost_while_reading_is_no_end_of_rows(home: PostgisHome) -> None:
    gone = sa.func.pg_terminate_backend(sa.func.pg_backend_pid()).label("gone")
    with pytest.raises(SourceUnreachableError):
        list(home.read(sa.select(gone)))


def test_one_writer_at_a_time(home: PostgisHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgis_home, "LOCK_TIMEOUT_S", 1)
    other = PostgisHome(f"{home.label}")
    with (
        home.exclusive(),
        pytest.raises(SourceUnreachableError, match="another writer"),
        other.exclusive(),
    ):
        pytest.fail("two writers")
    with (
        home.transaction(),
        pytest.raises(SourceUnreachableError, match="another writer"),
        other.transaction(),
    ):
        pytest.fail("two writers")
    with other.exclusive(), other.transaction():
        pass


def test_a_waiting_writer_goes_on_when_the_first_ends(home: PostgisHome) -> None:
    order = []
    is_held, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with home.exclusive():
            is_held.set()
            may_end.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    is_held.wait(10)
    threading.Timer(0.2, may_end.set).start()
    with home.exclusive():
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lost_lock_connection_ends_quietly(home: PostgisHome, postgis_url: str) -> None:
    with home.exclusive(), psycopg.connect(postgis_url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
            "WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    with home.exclusive():
        assert home.exists()


def test_an_empty_database_has_no_framework(postgis_url: str) -> None:
    assert not PostgisHome(f"{postgis_url}?schema=nothing").exists()


def test_nobody_answers() -> None:
    home = PostgisHome("postgresql://me:secret@127.0.0.1:1/city")
    assert home.label == "postgresql://me@127.0.0.1:1/city?schema=cityframe"
    with pytest.raises(
        SourceUnreachableError, match=r"127\.0\.0\.1:1/city.*Connection refused"
    ) as caught:
        home.exists()
    assert "secret" not in str(caught.value)


def test_a_database_that_is_not_there_is_named(postgis_url: str) -> None:
    url = postgis_url.rpartition("/")[0] + "/nowhere"
    with pytest.raises(SourceUnreachableError, match='database "nowhere" does not exist'):
        PostgisHome(url).exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/city", "the URL is of mysql"),
        ("me:secret", "can't be read as a URL"),
        ("postgresql://me:secret@host", "names no database"),
        ('postgresql://me:secret@host/city?schema=a"b', "which is no plain name"),
        ("postgresql://me:secret@host/city?schema=pg_catalog", "which is no plain name"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, said: str) -> None:
    with pytest.raises(DeclarationError, match=said) as caught:
        PostgisHome(url)
    assert "secret" not in str(caught.value)
    assert "postgresql://user@host:port/database?schema=name" in str(caught.value)


def as_role(url: str, role: str) -> str:
    return sa.make_url(url).set(username=role).render_as_string(hide_password=False)


def test_a_role_that_may_not_is_told_what_to_do(postgis_url: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgis_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        try:
            home = PostgisHome(as_role(postgis_url, role))
            with (
                pytest.raises(DeclarationError, match=r"permission denied.*docs/operations\.md"),
                home.transaction() as writing,
            ):
                home.create(writing)
        finally:
            connection.execute(f"DROP ROLE {role}")


def test_a_database_without_postgis_is_told_what_to_do(postgis_server: str) -> None:
    name = f"bare_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgis_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"CREATE ROLE {name} LOGIN")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO {name}")
        try:
            base = as_role(postgis_server, name).rpartition("/")[0]
            home = PostgisHome(f"{base}/{name}")
            with (
                pytest.raises(DeclarationError, match="CREATE EXTENSION postgis SCHEMA public"),
                home.transaction() as writing,
            ):
                home.create(writing)
            assert not home.exists()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP ROLE {name}")


def test_a_crs_that_postgis_does_not_know_is_registered(
    home: PostgisHome, fill: Filled, postgis_url: str
) -> None:
    with psycopg.connect(postgis_url) as connection:
        connection.execute("DELETE FROM spatial_ref_sys WHERE srid = 4547")
    fill(plain("things"), [])
    with psycopg.connect(postgis_url) as connection:
        found = connection.execute(
            "SELECT auth_name, auth_srid, srtext FROM spatial_ref_sys WHERE srid = 4547"
        ).fetchall()
    assert [(row[0], row[1]) for row in found] == [("EPSG", 4547)]
    assert "CGCS2000" in found[0][2]
