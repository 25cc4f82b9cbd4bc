"""What the tasks do: each calls one function of the pipeline, and passes references only.

The pipeline and what it needs are imported when a task runs, never when a DAG is read.
"""

import datetime as dt
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

if TYPE_CHECKING:
    from cityframe.pipeline.city import City

LOG = logging.getLogger(__name__)


def pull(root: str, source: str, place: str, at: str) -> str:
    """Pull a source and return the delivery's id; skip what follows when there is nothing new.

    Parameters
    ----------
    place, at : str
        Other place, and time of the content in ISO 8601; empty for the declared ones.

    Raises
    ------
    AirflowSkipException
        If nothing new landed: the task is skipped, and no cycle wakes.
    """
    from cityframe.pipeline.pull import pull

    moment = dt.datetime.fromisoformat(at) if at else None
    outcome = pull(_city(root), source, place=place or None, at=moment)
    if not outcome.is_new or outcome.delivery is None:
        message = f"nothing new from {source}: {outcome.reason}"
        raise AirflowSkipException(message)
    return outcome.delivery.id


def open_cycle(root: str, series: str, warning: str) -> str | None:
    """Open the next cycle of a series or resume the open one; return its id.

    None, which skips all that follows, when nothing landed.
    """
    from cityframe.pipeline.cycle import open_cycle
    from cityframe.pipeline.releasing import note_missing_releases

    if warning:
        LOG.warning(warning)
    city = _city(root)
    note_missing_releases(city)
    return open_cycle(city, series)


def take_in(root: str, cycle: str, source: str) -> None:
    """Conform, check and reconcile the deliveries of one source."""
    from cityframe.pipeline.cycle import take_in

    city = _city(root)
    if _is_to_be_prepared(city, cycle):
        take_in(city, cycle, source)


def stage(root: str, cycle: str) -> None:
    """Write the candidate."""
    from cityframe.pipeline.cycle import stage

    city = _city(root)
    if _is_to_be_prepared(city, cycle):
        stage(city, cycle)


def check_candidate(root: str, cycle: str) -> None:
    """Check the candidate over all layers."""
    from cityframe.pipeline.cycle import check_candidate

    city = _city(root)
    if _is_to_be_prepared(city, cycle):
        check_candidate(city, cycle)


def put_in_review(root: str, cycle: str) -> None:
    """Write the report and ask for a decision."""
    from cityframe.pipeline.cycle import put_in_review

    city = _city(root)
    if _is_to_be_prepared(city, cycle):
        put_in_review(city, cycle)


def changes_anything(root: str, cycle: str) -> bool:
    """Return whether the candidate changes anything; if not, end the cycle."""
    from cityframe.pipeline.cycle import close_without_changes
    from cityframe.pipeline.staging import candidate_of

    city = _city(root)
    if candidate_of(city, cycle).has_changes:
        return True
    LOG.info(close_without_changes(city, cycle))
    return False


def is_decided(root: str, cycle: str) -> bool:
    """Return whether the ledger has a decision over the cycle's candidate.

    Raises
    ------
    GateClosedError
        If the cycle was returned; with the reason given.
    """
    from cityframe.pipeline.cycle import decision

    taken = decision(_city(root), cycle)
    if taken is None:
        LOG.info("cycle %s waits for a decision in the ledger", cycle)
        return False
    LOG.info("%s by %s at %s: %s", taken.what, taken.who, taken.when, taken.why)
    return True


def release(root: str, cycle: str) -> int:
    """Release the approved candidate and return the release's number."""
    from cityframe.pipeline.cycle import release

    return release(_city(root), cycle)


def publish(root: str, cycle: str) -> None:
    """Build the packages of the cycle's release."""
    from cityframe.pipeline.cycle import publish

    publish(_city(root), cycle)


def verify_ledger(root: str) -> int:
    """Check the ledger's chain of hashes and return the number of entries.

    Raises
    ------
    IntegrityError
        If an entry was altered, removed or put in between.
    """
    return _city(root).ledger.verify()


def verify_archive(root: str) -> int:
    """Read all archived deliveries again whose bytes were not pruned; return how many.

    Raises
    ------
    IntegrityError
        If one is not what its manifest says.
    """
    city = _city(root)
    found = [one for source in city.workspace.sources for one in city.archive.deliveries(source)]
    kept = [one for one in found if not city.archive.is_pruned(one.id)]
    for delivery in kept:
        city.archive.verify(delivery.id)
    return len(kept)


def _city(root: str) -> "City":
    from cityframe.pipeline.city import open_city

    return open_city(Path(root))


def _is_to_be_prepared(city: "City", cycle: str) -> bool:
    """Return whether a cycle is not yet in review; a resumed one keeps what was reviewed."""
    from cityframe.model.cycle import CycleState
    from cityframe.pipeline.plan import cycle_state

    state = cycle_state(city, cycle)
    if state is CycleState.FROZEN:
        return True
    LOG.info("cycle %s is %s: what was prepared stays as it is", cycle, state.value)
    return False
