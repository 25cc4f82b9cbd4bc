"""Which deliveries did not come in: they may be landed again."""

from cityframe.model.cycle import CycleState
from cityframe.pipeline.accounts import accounts
from cityframe.pipeline.city import City
from cityframe.pipeline.plan import cycle_state
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
    delivery = landed.body["delivery"]
    for frozen in reversed(list(city.ledger.entries(what=CycleState.FROZEN))):
        if frozen.body["through"].get(landed.subject, 0) < landed.sequence:
            continue
        if delivery not in frozen.body["plan"]["deliveries"]:
            continue
        if cycle_state(city, frozen.subject) is CycleState.RETURNED:
            return True
        return any(
            one.delivery == delivery and one.quarantine_reasons
            for one in accounts(city, frozen.subject)
        )
    return False
