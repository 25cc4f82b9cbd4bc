from collections.abc import Sequence

from cityframe.core.identity import UID_LENGTH, feature_uid, mint


def unknown(_uids: Sequence[str]) -> frozenset[str]:
    return frozenset()


def test_a_uid_is_a_function_of_its_parts() -> None:
    uid = feature_uid("320100", "roads", "key 7")
    assert len(uid) == UID_LENGTH
    assert uid == feature_uid("320100", "roads", "key 7", 0)


def test_every_part_counts() -> None:
    parts = ("320100", "roads", "key 7")
    others = {feature_uid(*parts[:at], parts[at] + "x", *parts[at + 1 :]) for at in range(3)}
    assert len(others | {feature_uid(*parts), feature_uid(*parts, 1)}) == 5


def test_parts_do_not_run_together() -> None:
    assert feature_uid("ab", "c", "d") != feature_uid("a", "bc", "d")


def test_characters_can_be_told_apart_when_read() -> None:
    text = "".join(feature_uid("n", "l", str(number)) for number in range(2000))
    assert set(text) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_minted_uids_are_those_of_the_first_life() -> None:
    assert mint("n", "l", ["a", "b"], unknown) == [
        feature_uid("n", "l", "a"),
        feature_uid("n", "l", "b"),
    ]


def test_a_name_that_was_ever_used_gives_the_next_life() -> None:
    used = {feature_uid("n", "l", "a"), feature_uid("n", "l", "a", 1)}
    assert mint("n", "l", ["a"], used.intersection) == [feature_uid("n", "l", "a", 2)]


def test_equal_names_get_lives_in_their_order() -> None:
    used = {feature_uid("n", "l", "a", 1)}
    assert mint("n", "l", ["a", "b", "a"], used.intersection) == [
        feature_uid("n", "l", "a"),
        feature_uid("n", "l", "b"),
        feature_uid("n", "l", "a", 2),
    ]


def test_many_of_one_name_after_many_of_before_ask_a_few_times() -> None:
    used = {feature_uid("n", "l", "a", life) for life in range(0, 900, 2)}
    asked = []

    def is_known(uids: Sequence[str]) -> set[str]:
        asked.append(len(uids))
        return used.intersection(uids)

    found = mint("n", "l", ["a"] * 1000, is_known)
    free = [life for life in range(1450) if life % 2 or life >= 900]
    assert set(found) == {feature_uid("n", "l", "a", life) for life in free}
    assert len(asked) <= 3


def test_nothing_asks_nothing() -> None:
    def fail(_uids: Sequence[str]) -> frozenset[str]:
        raise AssertionError

    assert mint("n", "l", [], fail) == []
