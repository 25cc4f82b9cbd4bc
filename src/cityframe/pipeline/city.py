"""A city: a workspace with its archive, framework and ledger."""

import datetime as dt
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cityframe.config.workspace import Workspace, read_workspace
from cityframe.store.archive import Archive
from cityframe.store.finding_register import FindingRegister
from cityframe.store.framework import Framework, open_framework
from cityframe.store.ledger import Ledger


@dataclass(frozen=True)
class City:
    """The declarations of one city and its store.

    Attributes
    ----------
    workspace : Workspace
        All declarations.
    """

    workspace: Workspace
    archive: Archive = field(init=False)
    framework: Framework = field(init=False)
    ledger: Ledger = field(init=False)
    findings: FindingRegister = field(init=False)

    def __post_init__(self) -> None:
        store = self.workspace.store
        framework = open_framework(store, self.workspace.framework_url)
        object.__setattr__(self, "archive", Archive(store / "archive"))
        object.__setattr__(self, "framework", framework)
        object.__setattr__(self, "ledger", Ledger(store / "ledger.sqlite"))
        object.__setattr__(self, "findings", FindingRegister(store / "findings"))

    def observations(self, source: str) -> Path:
        """Return the folder of a sensor feed's observations."""
        return self.workspace.store / "observations" / source

    def cycle_folder(self, cycle: str) -> Path:
        """Return the folder where a cycle's steps leave their results."""
        return self.workspace.store / "cycles" / cycle

    def package_folder(self, release: int, kind: str) -> Path:
        """Return the folder of a release's package of a kind (``full``, ``change``)."""
        return self.workspace.store / "packages" / f"release-{release:04d}-{kind}"


def open_city(root: Path) -> City:
    """Read a workspace and return its city.

    Raises
    ------
    DeclarationError
        If a declaration is wrong.
    """
    return City(read_workspace(root))


def now() -> dt.datetime:
    """Return the present moment in UTC."""
    return dt.datetime.now(dt.UTC)


def operator() -> str:
    """Return the name of the operating system's user, for the ledger."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # a container's user may have no name
        return f"uid {os.getuid()}"


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    yield temporary
    temporary.replace(path)
