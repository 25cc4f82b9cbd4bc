"""A database of PostGIS for each test module that wants one."""

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest

TEMPLATE = "cityframe_template"
LOCK = 0x63697479


@pytest.fixture(scope="session")
def postgis_server() -> str:
    """URL of a server where databases may be made."""
    url = os.environ.get("CITYFRAME_TEST_POSTGIS", "")
    if not url:
        pytest.skip("no PostGIS: export CITYFRAME_TEST_POSTGIS=$(.ci/postgis start)")
    return url


@pytest.fixture(scope="module")
def postgis_url(postgis_server: str) -> Iterator[str]:
    """URL of an empty database with PostGIS, gone after the module."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgis_server, autocommit=True) as connection:
        # test processes run side by side; the first one makes the template
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        _make_template(connection, postgis_server)
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        yield _database(postgis_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _make_template(connection: psycopg.Connection, server: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (TEMPLATE,))
    if found.fetchone() is not None:
        return
    connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}_new")
    connection.execute(f"CREATE DATABASE {TEMPLATE}_new TEMPLATE template0 ENCODING 'UTF8'")
    with psycopg.connect(_database(server, f"{TEMPLATE}_new"), autocommit=True) as template:
        template.execute("CREATE EXTENSION postgis")
    # by its name it is complete
    connection.execute(f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")


def _database(server: str, name: str) -> str:
    base, _, _database = server.rpartition("/")
    return f"{base}/{name}"
