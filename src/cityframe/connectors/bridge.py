"""The bridge from an MQTT broker to the observations of a feed.

The broker keeps a session for the bridge's client id, so that messages wait while the bridge is
away. A message is acknowledged only after its batch is safe on disk; what the broker sends again
is recognised by stream and time. Together: nothing is lost, nothing is stored twice.

The bridge subscribes with quality of service 1, also where 2 is declared: with 2, the broker
counts a message as delivered before the bridge has it on disk.
"""

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cityframe.config.source import MqttPull, Source
from cityframe.config.workspace import expand
from cityframe.connectors.observation_writer import Observation, ObservationWriter, Rejected
from cityframe.connectors.payload import observation
from cityframe.errors import CityframeError, DeclarationError, SourceUnreachableError

_log = logging.getLogger(__name__)
_QOS = 1
_BATCH_MESSAGES = 5000
_BATCH_S = 1.0
_WAIT_S = 0.05
_LULL_S = 0.01
"""A batch ends when no message came for so long: the broker waits for acknowledgements."""
_FIRST_CONNECTION_S = 15.0
_SETTLE_S = 5.0
_BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_REFUSALS = ("Not authorized", "Bad user name or password", "Client identifier not valid")


@dataclass(frozen=True, slots=True)
class BridgeSummary:
    """How many messages a run of the bridge took, and what became of them.

    ``received`` is the sum of the other three. ``duplicates`` stood on disk already.
    """

    received: int
    stored: int
    duplicates: int
    rejected: int


def run_bridge(
    source: Source,
    observations: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
    idle_s: float | None = None,
    max_messages: int | None = None,
) -> BridgeSummary:
    """Take messages from the source's broker until told to stop.

    Parameters
    ----------
    source : Source
        With a pull of type ``mqtt``.
    observations : Path
        Folder of the source's observations.
    stop : callable
        Asked several times a second; true ends the run after what has come is on disk.
    idle_s : float or None
        End when no message came for so long.
    max_messages : int or None
        End after so many; the broker keeps the others.

    Raises
    ------
    SourceUnreachableError
        If the broker can't be reached at first; later the bridge tries again for as long as it
        runs.
    DeclarationError
        If the broker refuses the client or a topic, or another bridge runs for the source.
    """
    declared = source.pull
    if not isinstance(declared, MqttPull):
        raise DeclarationError(
            found=f"a pull of type {declared.type}",
            where=f"source {source.name}",
            expected="mqtt",
        )
    with ObservationWriter(observations) as writer:
        return _Bridge(source.name, declared, writer, max_messages).run(stop, idle_s)


@dataclass(frozen=True, slots=True)
class _Message:
    id: int
    qos: int
    topic: str
    payload: bytes
    connection: int


class _Bridge:
    """One run: a client, and the messages that wait to be written."""

    def __init__(
        self, name: str, declared: MqttPull, writer: ObservationWriter, max_messages: int | None
    ) -> None:
        self._where = f"source {name}"
        self._declared = declared
        self._writer = writer
        self._room = max_messages
        self._waiting: list[_Message] = []
        self._connection = 0
        self._is_connected = False
        self._is_settled = False
        self._failure: CityframeError | None = None
        self._heard_at = time.monotonic()
        self._batch_began_at = self._heard_at
        self.stored = self.duplicates = self.rejected = 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=expand(declared.client_id, where=self._where),
            clean_session=False,
            protocol=mqtt.MQTTv311,
            manual_ack=True,
        )
        if declared.username:
            self._client.username_pw_set(
                expand(declared.username, where=f"{self._where}, username"),
                expand(declared.password, where=f"{self._where}, password") or None,
            )
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def run(self, stop: Callable[[], bool], idle_s: float | None) -> BridgeSummary:
        def is_over() -> bool:
            is_idle = idle_s is not None and time.monotonic() - self._heard_at >= idle_s
            return stop() or is_idle or self._room == 0

        self._connect(is_over)
        while not is_over():
            self._step(is_over)
        self._flush()
        self._leave()
        return BridgeSummary(
            received=self.stored + self.duplicates + self.rejected,
            stored=self.stored,
            duplicates=self.duplicates,
            rejected=self.rejected,
        )

    def _step(self, is_over: Callable[[], bool]) -> None:
        """Take what the broker sends next; write the batch when it is due."""
        before = len(self._waiting)
        code = self._client.loop(_LULL_S if before else _WAIT_S)
        if self._failure is not None:
            raise self._failure
        is_lull = len(self._waiting) == before
        is_due = time.monotonic() - self._batch_began_at >= _BATCH_S
        if before and (is_lull or is_due or len(self._waiting) >= _BATCH_MESSAGES):
            self._flush()
        if code != mqtt.MQTT_ERR_SUCCESS:
            _log.warning("%s: connection lost (%s)", self._where, mqtt.error_string(code))
            self._flush()
            self._connect(is_over)

    def _flush(self) -> None:
        """Write the waiting messages to disk, then acknowledge them."""
        now = dt.datetime.now(dt.UTC)
        good: list[Observation] = []
        bad: list[Rejected] = []
        for message in self._waiting:
            try:
                good.append(observation(message.payload, self._declared, now=now))
            except ValueError as error:
                bad.append(Rejected(message.topic, message.payload, str(error)))
        stored = self._writer.store(good, now)
        self._writer.reject(bad, now)
        for message in self._waiting:
            # an id of a former connection means nothing to the broker now
            if message.connection == self._connection and self._is_connected:
                self._client.ack(message.id, message.qos)
        self._waiting.clear()
        self.stored += stored
        self.duplicates += len(good) - stored
        self.rejected += len(bad)

    def _leave(self) -> None:
        """Disconnect once the broker has seen all acknowledgements.

        A connection closed while messages still come in is reset, and what the broker has not read
        is gone. It answers in order: the answer to a subscription comes after the acknowledgements.
        """
        self._room = 0
        self._is_settled = False
        if self._is_connected:
            self._subscribe()
        deadline = time.monotonic() + _SETTLE_S
        while self._is_connected and not self._is_settled and time.monotonic() < deadline:
            self._client.loop(_WAIT_S)
        self._client.disconnect()

    def _subscribe(self) -> None:
        self._client.subscribe([(topic, _QOS) for topic in self._declared.topics])

    def _connect(self, is_over: Callable[[], bool]) -> None:
        """Connect, again and again; the first time not for long."""
        deadline = time.monotonic() + _FIRST_CONNECTION_S
        attempt = 0
        while not is_over() or self._connection == 0:
            try:
                self._open()
            except OSError as error:
                if self._connection == 0 and (is_over() or time.monotonic() >= deadline):
                    raise self._unreachable(str(error)) from error
                _log.warning("%s: the broker does not answer (%s)", self._where, error)
                self._pause(_BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)], is_over)
                attempt += 1
            else:
                return

    def _open(self) -> None:
        """Connect and wait for the broker's answer.

        Raises
        ------
        OSError
            If there is none.
        """
        where = f"{self._where}, port"
        try:
            port = int(expand(str(self._declared.port), where=where))
        except ValueError as error:
            raise DeclarationError(
                found=f"port {self._declared.port!r}", where=where, expected="a number"
            ) from error
        host = expand(self._declared.host, where=f"{self._where}, host")
        self._client.connect(host, port, keepalive=30)
        deadline = time.monotonic() + _FIRST_CONNECTION_S
        while not self._is_connected:
            code = self._client.loop(_WAIT_S)
            if self._failure is not None:
                raise self._failure
            if code != mqtt.MQTT_ERR_SUCCESS or time.monotonic() >= deadline:
                message = f"{host}:{port} {mqtt.error_string(code)}"
                raise ConnectionError(message)

    def _pause(self, seconds: float, is_over: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not is_over():
            time.sleep(_WAIT_S)

    def _unreachable(self, found: str) -> SourceUnreachableError:
        return SourceUnreachableError(
            found=f"the broker does not answer ({found})",
            where=self._where,
            expected=f"an MQTT broker at {self._declared.host}:{self._declared.port}",
            remedy="look whether it is up, then start the bridge again",
        )

    def _on_connect(self, _: mqtt.Client, ___: Any, flags: Any, reason: Any, __: Any) -> None:
        if reason.is_failure:
            said = str(reason)
            if said in _REFUSALS:
                self._failure = DeclarationError(
                    found=f"the broker refuses the client ({said})",
                    where=self._where,
                    expected="a broker that lets this client_id in",
                    remedy="mend client_id, username or password, or the broker's access list",
                )
            return
        if self._connection and not flags.session_present:
            _log.warning(
                "%s: the broker forgot the session; messages sent meanwhile may be missing",
                self._where,
            )
        self._connection += 1
        self._is_connected = True
        self._subscribe()

    def _on_disconnect(self, *_: Any) -> None:
        self._is_connected = False

    def _on_subscribe(self, _: mqtt.Client, __: Any, ___: int, reasons: Any, ____: Any) -> None:
        self._is_settled = True
        refused = [
            topic
            for topic, reason in zip(self._declared.topics, reasons, strict=True)
            if reason.is_failure
        ]
        if refused:
            self._failure = DeclarationError(
                found=f"the broker refuses {', '.join(refused)}",
                where=self._where,
                expected="topics that this client may read",
                remedy="mend topics, or the broker's access list",
            )

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        if self._room == 0:
            # not acknowledged: the broker keeps it
            return
        if self._room is not None:
            self._room -= 1
        self._heard_at = time.monotonic()
        if not self._waiting:
            self._batch_began_at = self._heard_at
        self._waiting.append(
            _Message(
                message.mid, message.qos, message.topic, bytes(message.payload), self._connection
            )
        )
