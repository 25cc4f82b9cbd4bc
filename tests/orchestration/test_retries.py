import pytest
from airflow.sdk import RetryAction
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy

from cityframe import errors
from cityframe.orchestration.retries import BY_BRANCH


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.SourceUnreachableError, RetryAction.RETRY),
        (errors.DeclarationError, RetryAction.FAIL),
        (errors.StoppedError, RetryAction.FAIL),
        (errors.QuarantinedError, RetryAction.FAIL),
        (errors.GateClosedError, RetryAction.FAIL),
        (errors.IntegrityError, RetryAction.FAIL),
        (errors.CityframeError, RetryAction.DEFAULT),
    ],
)
def test_branch_of_the_error_says_whether_it_is_tried_again(
    error: type[errors.CityframeError], action: RetryAction
) -> None:
    assert BY_BRANCH.evaluate(error(found="x"), try_number=1, max_tries=2).action is action


def test_foreign_error_is_left_to_airflow() -> None:
    decision = BY_BRANCH.evaluate(ZeroDivisionError(), try_number=1, max_tries=2)
    assert decision.action is RetryAction.DEFAULT


def test_every_branch_of_the_tree_has_a_rule() -> None:
    branches = errors.CityframeError.__subclasses__()
    for branch in branches:
        decision = BY_BRANCH.evaluate(branch(found="x"), try_number=1, max_tries=2)
        assert decision.action is not RetryAction.DEFAULT, branch


def test_policy_survives_the_way_through_airflows_database() -> None:
    read = ExceptionRetryPolicy.deserialize(BY_BRANCH.serialize())
    decision = read.evaluate(errors.GateClosedError(found="x"), try_number=1, max_tries=2)
    assert decision.action is RetryAction.FAIL
