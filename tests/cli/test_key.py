"""``cityframe key`` as other programs call it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cityframe.cli import main

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("CITYFRAME_KEY_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Any:
        assert main(["--output", "json", "key", *arguments]) == code
        return json.loads(capsys.readouterr().out)

    return call


def new(run: Run, name: str) -> str:
    found: str = run("new", "--name", name, "--to", f"{name}.pem")["key"]
    return found


def statuses(body: Any) -> dict[str, str]:
    return {key["name"]: key["status"] for key in body["keys"]}


def test_life_of_three_keys(run: Run, tmp_path: Path) -> None:
    one = new(run, "one")
    two = new(run, "two")
    new(run, "other")
    assert run("trust", "one.pem.pub")["changed"]
    assert run("trust", "other.pem.pub", "--from-release", "2")["from_release"] == 2
    assert not run("trust", "one.pem.pub")["changed"]
    assert (tmp_path / "keys" / "trust.json").exists()

    made = run(
        "rotate", "--old", "one.pem", "--new", "two.pem", "--from-release", "4", "--to", "r.json"
    )
    assert (made["old"], made["new"]) == (one, two)
    applied = run("apply", "r.json")
    assert (applied["changed"], applied["type"]) == (True, "key-rotation")
    assert statuses(applied) == {"one": "replaced", "two": "trusted", "other": "trusted"}

    run("revoke", two, "--by", "other.pem", "--reason", "遗失", "--from-release", "5",
        "--to", "v.json")  # fmt: skip
    assert run("apply", "v.json")["type"] == "key-revocation"
    assert not run("apply", "r.json")["changed"]
    listed = run("list")
    assert statuses(listed) == {"one": "replaced", "two": "revoked", "other": "trusted"}
    assert {key["reason"] for key in listed["keys"]} == {"", "遗失"}


def test_list_says_it_to_a_person(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("new", "--name", "one", "--to", "one.pem", "--valid-until", "2999-01-01")
    run("trust", "one.pem.pub", "--in", "t.json", "--from-release", "3")
    assert main(["key", "list", "--in", "t.json"]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[1:] == ["one", "publisher", "trusted", "3-", "2999-01-01T00:00:00+00:00", "-"]


def test_subscriber_is_trusted_as_one(run: Run) -> None:
    new(run, "node")
    run("trust", "node.pem.pub", "--in", "t.json", "--role", "subscriber")
    assert run("list", "--in", "t.json")["keys"][0]["role"] == "subscriber"


def test_refusals_have_their_exit_code_and_reason(run: Run, tmp_path: Path) -> None:
    one = new(run, "one")
    new(run, "two")
    assert "stands there" in error(run("new", "--name", "x", "--to", "one.pem", code=2))
    assert "sources/" in error(run("new", "--name", "x", "--to", "sources/a/key.pem", code=2))
    assert not (tmp_path / "sources").exists()
    assert "32 hexadecimal" in run(
        "revoke", "abc", "--by", "one.pem", "--reason", "r", "--from-release", "1", "--to", "v",
        code=2,
    )["error"]["expected"]  # fmt: skip
    assert run("list", code=2)["error"]["type"] == "DeclarationError"

    run("trust", "two.pem.pub")
    run("revoke", one, "--by", "one.pem", "--reason", "r", "--from-release", "1", "--to", "v.json")
    assert "not in the trust store" in error(run("apply", "v.json", code=5))
    text = (tmp_path / "v.json").read_text()
    (tmp_path / "v.json").write_text(text.replace('"reason": "r"', '"reason": "s"'))
    run("trust", "one.pem.pub")
    assert "did not make over it" in error(run("apply", "v.json", code=5))
    (tmp_path / "one.pem").chmod(0o644)
    assert "mode 0644" in error(
        run("rotate", "--old", "one.pem", "--new", "two.pem", "--from-release", "2", "--to", "r",
            code=2)
    )  # fmt: skip


def error(body: Any) -> str:
    found: str = body["error"]["found"]
    return found


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_release_must_be_one(number: str, run: Run) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("trust", "a.pub", "--from-release", number)
    assert stopped.value.code == 2
