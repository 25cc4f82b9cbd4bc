"""Make an empty workspace."""

from pathlib import Path

from cityframe.config.workspace import WORKSPACE_FILE
from cityframe.errors import DeclarationError

FOLDERS = ("schemas", "sources", "quality_rules", "cycles")
_HEAD = """\
# The name of the city, and where its store is (relative to this file).
title:
  zh: 新城市
  en: New city
store: store
# framework: postgresql://user@host:5432/city?schema=cityframe   # in PostGIS, not in the store
# signing_key: ${CITYFRAME_SIGNING_KEY:-}                        # signs packages
time_zone: Asia/Shanghai
"""


def init_workspace(root: Path) -> list[Path]:
    """Make ``cityframe.yaml`` and the folders for declarations; return what was made.

    Raises
    ------
    DeclarationError
        If the folder already is a workspace.
    """
    head = root / WORKSPACE_FILE
    if head.exists():
        raise DeclarationError(
            where=str(head), found="a workspace already", remedy="name another folder"
        )
    made = [root / name for name in FOLDERS]
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    head.write_text(_HEAD, encoding="utf-8")
    return [head, *made]
