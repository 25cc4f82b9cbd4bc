"""Airflow's home: one process at a time uses it; a fresh one, and its database."""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cityframe.errors import CityframeError, DeclarationError

LOCK_FILE = "in-use"


@contextmanager
def airflow_home(home: Path, *, is_fresh: bool = False) -> Iterator[None]:
    """Hold Airflow's home and see that its database is there.

    The environment must already name the home; see `cityframe.orchestration.settings`.

    Parameters
    ----------
    home : Path
        The folder; made if it is missing.
    is_fresh : bool
        Whether to empty it first.

    Raises
    ------
    DeclarationError
        If another process uses it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DeclarationError(
                where=str(home),
                found="an Airflow already runs on this home",
                remedy="end it first (Ctrl-C where `make up` or `make demo` runs)",
            ) from error
        if is_fresh:
            _empty(home)
        if not (home / "airflow.db").exists():
            _make_database(home)
        yield


def _make_database(home: Path) -> None:
    log = home / "database.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        run = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)  # noqa: S603
    if run.returncode != 0:
        raise CityframeError(
            where=str(log),
            found=f"`airflow db migrate` ended with {run.returncode}",
            remedy="see what it says there",
        )


def _empty(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK_FILE:
            path.unlink()
