"""Which deliveries did not come in, or not wholly: they may be landed again."""

from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import cycle_state
from cityframe.pipeline.questions import given_answers, kept_questions
from cityframe.store.ledger import Entry


def is_set_aside(city: City, landed: Entry) -> bool:
    """Tell whether the cycle that took a landed delivery quarantined it, or was returned.

    Parameters
    ----------
    city : City
        The city.
    landed : Entry
        The ledger's entry of the delivery; one that no cycle took yet is not set aside.
    """
    cycle = _cycle_of(city, landed)
    if cycle is None:
        return False
    if cycle_state(city, cycle) is CycleState.RETURNED:
        return True
    return any(
        one.delivery == landed.body["delivery"] and one.quarantine_reasons
        for one in accounts(city, cycle)
    )


def is_answered_since(city: City, landed: Entry) -> bool:
    """Tell whether a question of a landed delivery was answered after its cycle took it in.

    Its records waited; only when the delivery comes in again does the answer count.
    """
    cycle, delivery = _cycle_of(city, landed), landed.body["delivery"]
    if cycle is None:
        return False
    asked = {
        question
        for frame in kept_questions(city, cycle).values()
        for question in frame.loc[frame["delivery"] == delivery, "question"]
    }
    heard = {
        name
        for account in accounts(city, cycle)
        if account.delivery == delivery
        for name in account.answers
    }
    given = given_answers(city, landed.subject)
    return any(one.question in asked and one.id not in heard for one in given)


def _cycle_of(city: City, landed: Entry) -> str | None:
    """Return the cycle that took a landed delivery; None if none did yet."""
    for frozen in reversed(list(city.ledger.entries(what=CycleState.FROZEN))):
        if frozen.body["through"].get(landed.subject, 0) < landed.sequence:
            continue
        if landed.body["delivery"] in frozen.body["plan"]["deliveries"]:
            return frozen.subject
    return None
