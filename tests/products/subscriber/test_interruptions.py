"""Killed, out of room, cut off: the data is as it was, and the next run completes."""

import errno
import multiprocessing
import os
import signal
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from cityframe.errors import SourceUnreachableError
from cityframe.products.subscriber import apply, open_session, read_state, subscribe, undo
from cityframe.products.subscriber.proof import prove_layer
from cityframe.products.subscriber.received import Received

LAYERS = ("buildings", "pipes", "permits", "cityframe_subscription")


@pytest.fixture
def subscribed(framework, database, trust, at):
    subscribe(database.url, framework.full(1), trust, at=at)
    return database


@contextmanager
def at_each_step(act):
    """Call ``act(connection, step)`` before each statement and each commit."""
    steps = iter(range(1, 10_000))

    def before_statement(connection, *_others):
        act(connection, next(steps))

    event.listen(sa.Engine, "before_cursor_execute", before_statement)
    event.listen(sa.Engine, "commit", before_statement)
    try:
        yield
    finally:
        event.remove(sa.Engine, "before_cursor_execute", before_statement)
        event.remove(sa.Engine, "commit", before_statement)


def steps_of(run):
    """Count the steps of a run."""
    count = 0

    def note(_connection, step):
        nonlocal count
        count = step

    with at_each_step(note):
        run()
    return count


def is_at_release(database, framework, number):
    with open_session(database.url) as session:
        state = read_state(session)
        found = {
            name: (proof.state.count, proof.state.digest)
            for name, table in state.tables().items()
            for proof in [prove_layer(session, table)]
        }
    release = framework.releases[number - 1]
    return found == {one.layer: (one.count, one.digest) for one in release.layers}


def _killed_at(moment, url, package, trust, at):
    def kill(_connection, step):
        if step == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    with at_each_step(kill):
        apply(url, package, trust, at=at)


def test_a_kill_at_any_step_leaves_the_release_before(framework, subscribed, trust, at):
    package = framework.change(2)
    steps = steps_of(lambda: apply(subscribed.url, package, trust, at=at))
    undo(subscribed.url, package, at=at)
    before = subscribed.dump(*LAYERS)
    fork = multiprocessing.get_context("fork")
    for moment in (2, steps // 3, steps // 2, 2 * steps // 3, steps):
        child = fork.Process(target=_killed_at, args=(moment, subscribed.url, package, trust, at))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        assert subscribed.dump(*LAYERS) == before
    apply(subscribed.url, package, trust, at=at)
    assert is_at_release(subscribed, framework, 2)


def test_a_full_disk_leaves_the_release_before(make_framework, rows, tmp_path, trust, at):
    city = make_framework("large")
    city.commit(buildings={"b1": rows.building()})
    city.commit(buildings={f"c{n}": rows.building(20 * n) for n in range(400)})
    path = tmp_path / "own.gpkg"
    subscribe(str(path), city.full(1), trust, at=at)
    before = path.read_bytes()

    def no_room(connection, _step):
        pages = connection.connection.driver_connection.execute("PRAGMA page_count").fetchone()[0]
        if step_pages.setdefault("limit", pages + 2):
            connection.connection.driver_connection.execute(
                f"PRAGMA max_page_count = {step_pages['limit']}"
            )

    step_pages = {}
    with at_each_step(no_room), pytest.raises(SourceUnreachableError, match="full"):
        apply(str(path), city.change(2), trust, at=at)
    assert path.read_bytes() == before
    assert apply(str(path), city.change(2), trust, at=at).layers["buildings"].count == 401


# psycopg complains of its own cursor on the connection that is gone
@pytest.mark.filterwarnings("ignore:Exception ignored in.*ServerCursor")
def test_a_lost_connection_leaves_the_release_before(framework, postgis, trust, at, postgis_url):
    package = framework.change(2)
    subscribe(postgis.url, framework.full(1), trust, at=at)
    steps = steps_of(lambda: apply(postgis.url, package, trust, at=at))
    undo(postgis.url, package, at=at)
    before = postgis.dump(*LAYERS)
    for moment in (3, steps // 2, steps - 1, steps):

        def cut(connection, step, moment=moment):
            if step == moment:
                backend = connection.connection.driver_connection.info.backend_pid
                with psycopg.connect(postgis_url, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s, 5000)", (backend,))

        said = "lost in the commit" if moment == steps else "nothing was changed"
        with at_each_step(cut), pytest.raises(SourceUnreachableError, match=said):
            apply(postgis.url, package, trust, at=at)
        assert postgis.dump(*LAYERS) == before
    apply(postgis.url, package, trust, at=at)
    assert is_at_release(postgis, framework, 2)


def test_a_failed_subscription_leaves_nothing(framework, database, trust, at, tmp_path):
    class CutOffError(Exception):
        """The run was interrupted."""

    def stop(_connection, step):
        if step == 25:
            raise CutOffError

    with at_each_step(stop), pytest.raises(CutOffError):
        subscribe(database.url, framework.full(1), trust, at=at)
    assert [path.name for path in tmp_path.iterdir()] == []
    with open_session(database.url, may_create=True) as session:
        assert not any(session.has_table(name) for name in LAYERS)
    subscribe(database.url, framework.full(1), trust, at=at)
    assert is_at_release(database, framework, 1)


def test_a_connection_lost_in_the_first_load_is_a_reason_to_try_again(
    framework, postgis, trust, at, postgis_url, monkeypatch
):
    rows = Received.rows

    def cut_before_rows(package, layer):
        with psycopg.connect(postgis_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        yield from rows(package, layer)

    with monkeypatch.context() as patched:
        patched.setattr(Received, "rows", cut_before_rows)
        with pytest.raises(SourceUnreachableError, match="nothing was changed"):
            subscribe(postgis.url, framework.full(1), trust, at=at)
    subscribe(postgis.url, framework.full(1), trust, at=at)
    assert is_at_release(postgis, framework, 1)


def test_another_writer_is_waited_for(framework, subscribed, trust, at, monkeypatch):
    monkeypatch.setattr("cityframe.products.subscriber.geopackage.LOCK_TIMEOUT_S", 0.2)
    monkeypatch.setattr("cityframe.products.subscriber.postgis.LOCK_TIMEOUT_S", 0.2)
    with open_session(subscribed.url), pytest.raises(SourceUnreachableError, match="lock"):
        apply(subscribed.url, framework.change(2), trust, at=at)
    apply(subscribed.url, framework.change(2), trust, at=at)
    assert is_at_release(subscribed, framework, 2)


def test_no_database_is_a_reason_to_try_again(framework, trust, at):
    url = "postgresql://nobody:geheim@127.0.0.1:9/none"
    with pytest.raises(SourceUnreachableError) as caught:
        apply(url, framework.change(2), trust, at=at)
    assert "geheim" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said_to_be_one(
    framework, trust, at, tmp_path, monkeypatch
):
    def read_only(**_options):
        raise OSError(errno.EROFS, "Read-only file system")

    path = tmp_path / "mine.gpkg"
    monkeypatch.setattr(
        "cityframe.products.subscriber.geopackage.tempfile.TemporaryDirectory", read_only
    )
    with pytest.raises(SourceUnreachableError, match="Read-only"):
        subscribe(str(path), framework.full(1), trust, at=at)
    assert not path.exists()
