import re

from cityframe.core.identity import UID_LENGTH, new_uid


def test_uid_is_opaque_and_of_one_length() -> None:
    uid = new_uid("roads", "monthly-2026-01", "survey.0123", "key 7")
    assert re.fullmatch(rf"[0-9A-HJKMNP-TV-Z]{{{UID_LENGTH}}}", uid)
    assert uid == new_uid("roads", "monthly-2026-01", "survey.0123", "key 7")


def test_each_part_makes_another_uid() -> None:
    parts = ("roads", "c1", "d1", "7")
    others = {new_uid(*parts[:at], parts[at] + "x", *parts[at + 1 :]) for at in range(4)}
    assert len(others | {new_uid(*parts)}) == 5


def test_parts_do_not_run_together() -> None:
    assert new_uid("ab", "c", "d", "e") != new_uid("a", "bc", "d", "e")


def test_uids_use_the_whole_alphabet_evenly() -> None:
    text = "".join(new_uid("l", "c", "d", str(number)) for number in range(2000))
    counts = {letter: text.count(letter) for letter in set(text)}
    assert len(counts) == 32
    assert max(counts.values()) < 1.25 * min(counts.values())
