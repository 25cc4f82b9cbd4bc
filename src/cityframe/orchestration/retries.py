"""What Airflow tries again: the branch of the error says it.

======================  ==================================================
SourceUnreachableError  tried again, as often as the source declares
DeclarationError        fails at once: somebody mends the declaration
StoppedError            fails at once: somebody looks and decides
IntegrityError          fails at once: nothing may go on over such data
anything else           Airflow's own way: tried again while retries last
======================  ==================================================
"""

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from cityframe.errors import (
    DeclarationError,
    IntegrityError,
    SourceUnreachableError,
    StoppedError,
)

BY_BRANCH = ExceptionRetryPolicy(
    rules=[
        RetryRule(SourceUnreachableError, RetryAction.RETRY, reason="it did not answer"),
        RetryRule(DeclarationError, RetryAction.FAIL, reason="the declaration must be mended"),
        RetryRule(StoppedError, RetryAction.FAIL, reason="somebody must look and decide"),
        RetryRule(IntegrityError, RetryAction.FAIL, reason="the data is not what it claims to be"),
    ]
)
