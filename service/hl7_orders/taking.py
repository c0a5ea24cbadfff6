"""Taking orders: read, committed in the catalogue, and only then acknowledged."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from dicom_nodes.audit.events import Alert, Node, alerted, ordered
from dicom_nodes.network.admission import networks
from dicom_nodes.network.reloaded_tls import ReloadedTLS
from dicom_nodes.network.repetition import Repetition
from dicom_nodes.network.tls import ServerTLS
from dicom_nodes.network.worklist_scu import ScheduledStep
from processing.measurement import PermanentFault
from service.audit.trail import Trail, open_trail
from service.catalogue.database import DATABASE_FAULTS, Database, open_database
from service.catalogue.ordered_steps import Applied, OrderChange, OrderName, apply_change
from service.hl7_orders.acknowledgement import Code, acknowledgement, code_of
from service.hl7_orders.connections import Limits, Listener
from service.hl7_orders.mapping import order_change
from service.hl7_orders.message import Fault, RefusedMessage, header_of, read_message
from service.settings import OrderSettings, Settings, WorklistSettings
from service.workflow.engine import EngineClient
from service.worklist.asking import LookingEngine, look_again

_AHEAD: Final = timedelta(days=1)
_REFUSAL_SECONDS: Final = 60.0
_SAID: Final = {
    Applied.CHANGED: "",
    Applied.REPEATED: "this message was taken before; nothing is changed",
    Applied.OLDER: "a later message (MSH-7) has changed this order; nothing is changed",
}

log = structlog.get_logger()


@dataclass(slots=True)
class OrderTaker:
    """Answers order messages, one at a time."""

    settings: Settings
    database: Database
    engine: LookingEngine
    trail: Trail
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _refusals: Repetition = field(default_factory=lambda: Repetition(_REFUSAL_SECONDS))

    def answer(self, content: bytes, peer_address: str) -> bytes:
        """The acknowledgement of a message; AA when what it says is committed.

        Studies that were waiting for the order are looked at before it is
        acknowledged, and again for a repeated message: its sender may not have
        heard of it because the node fell in between.
        """
        header = header_of(content)
        try:
            applied = self._take(content, peer_address)
        except RefusedMessage as refusal:
            code = code_of(refusal)
            log.warning(
                "an order is not taken", peer=peer_address, answer=code.value, reason=str(refusal)
            )
            return acknowledgement(header, code, str(refusal), refusal)
        log.info("an order is taken", peer=peer_address, outcome=applied.value)
        return acknowledgement(header, Code.ACCEPTED, _SAID[applied])

    def refused(self, peer_address: str) -> None:
        """Note a connection of somebody who may not order."""
        before = self._refusals.before(peer_address)
        if before is None:
            return
        more = f"; {before} more like it went before" if before else ""
        why = f"not among worklist.orders.peer_addresses{more}"
        log.warning("a connection for orders is refused", peer=peer_address, why=why)
        self.trail.record(
            alerted(
                Alert.NODE_AUTHENTICATION,
                self.trail.node.takes_part(is_requestor=True),
                Node("HL7", peer_address, is_ae=False),
                f"HL7 connection refused: {why}",
            )
        )

    def _take(self, content: bytes, peer_address: str) -> Applied:
        change = self._as_far_as_wanted(order_change(read_message(content)))
        self._check_age(change)
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            try:
                applied = self._apply(change, digest)
            except DATABASE_FAULTS as fault:
                log.error("the database does not answer", reason=str(fault.orig))
                raise RefusedMessage(
                    "the node cannot keep the order now; send it again later", Fault.INTERNAL
                ) from fault
        if applied is Applied.CHANGED:
            self._audit(change, peer_address)
        return applied

    def _apply(self, change: OrderChange, digest: str) -> Applied:
        keep_days = self.settings.worklist.keep_days
        applied = apply_change(self.database, change, digest, keep_days)
        match applied:
            case Applied.FULL:
                raise RefusedMessage(
                    "the node holds as many scheduled steps as it may; send it again when some "
                    "are past, or set worklist.keep_days lower",
                    Fault.INTERNAL,
                )
            case Applied.UNKNOWN:
                raise RefusedMessage(
                    "no order of this number is known; name its Study Instance UID (ZDS-1 or "
                    "IPC-3) and step (OBR-20 or IPC-4)",
                    Fault.UNKNOWN_KEY,
                    "ORC-2",
                )
            case Applied.CHANGED | Applied.REPEATED:
                steps = [each.step for each in change.scheduled]
                look_again(self.settings, self.database, self.engine, steps)
        return applied

    def _as_far_as_wanted(self, change: OrderChange) -> OrderChange:
        """What is asked of worklists is what is kept of orders; other steps are removed.

        They may have been wanted before they were changed.
        """
        chosen = self.settings.worklist
        wanted = tuple(each for each in change.scheduled if is_wanted(chosen, each.step))
        others = tuple(
            OrderName(
                each.placer_number,
                each.filler_number,
                each.step.study_instance_uid,
                each.step.step_id,
            )
            for each in change.scheduled
            if each not in wanted
        )
        return replace(change, scheduled=wanted, removed=change.removed + others)

    def _check_age(self, change: OrderChange) -> None:
        """Refuse what could not be told from a late repeat, or would stand above all to come.

        Raises
        ------
        RefusedMessage
            If MSH-7 is out of what is kept.
        """
        now = datetime.now(UTC)
        keep_days = self.settings.worklist.keep_days
        if change.said_at > now + _AHEAD:
            raise RefusedMessage(
                "MSH-7 is more than a day ahead; set the sender's clock", Fault.DATA_TYPE, "MSH-7"
            )
        if change.said_at < now - timedelta(days=keep_days):
            raise RefusedMessage(
                f"the message is more than {keep_days} days old (MSH-7, worklist.keep_days)",
                Fault.DATA_TYPE,
                "MSH-7",
            )

    def _audit(self, change: OrderChange, peer_address: str) -> None:
        source = Node(change.sender, peer_address, is_ae=False)
        for each in change.scheduled:
            step = each.step
            self.trail.record(
                ordered(
                    source,
                    self.trail.node,
                    step.study_instance_uid,
                    step.patient_id,
                    step.patient_name,
                )
            )
        for name in change.removed:
            self.trail.record(
                ordered(source, self.trail.node, name.study_instance_uid, is_removed=True)
            )


def is_wanted(chosen: WorklistSettings, step: ScheduledStep) -> bool:
    """Whether the settings ask for steps like this; what it does not say is no hindrance."""
    return (not step.modality or not chosen.modalities or step.modality in chosen.modalities) and (
        not step.station_ae_title or not chosen.stations or step.station_ae_title in chosen.stations
    )


def listener_of(chosen: OrderSettings, taker: OrderTaker) -> Listener:
    """The listener of the settings.

    Raises
    ------
    PermanentFault
        If no port is set, it cannot be listened on, or the certificate is not usable.
    """
    if chosen.port is None:
        raise PermanentFault("worklist.orders.port is not set")
    limits = Limits(
        chosen.maximum_connections,
        chosen.maximum_message_bytes,
        chosen.message_timeout_seconds,
        chosen.idle_timeout_seconds,
    )
    try:
        return Listener(
            chosen.address,
            chosen.port,
            taker.answer,
            limits,
            allowed=networks(chosen.peer_addresses),
            refused=taker.refused,
            tls=_tls(chosen),
        )
    except OSError as fault:
        raise PermanentFault(
            f"orders cannot be listened for on {chosen.address}, port {chosen.port}: {fault}"
        ) from fault


def run_order_taker(settings: Settings, stopped: threading.Event) -> None:
    """Take orders until told to stop."""
    database = open_database(settings)
    engine = EngineClient(settings)
    try:
        with open_trail(settings) as trail:
            taker = OrderTaker(settings, database, engine, trail)
            listener_of(settings.worklist.orders, taker).run(stopped)
    finally:
        engine.close()
        database.close()


def _tls(chosen: OrderSettings) -> ReloadedTLS | None:
    tls = chosen.tls
    if tls.certificate is None or tls.private_key is None:
        return None
    return ReloadedTLS(
        ServerTLS(
            tls.certificate,
            tls.private_key,
            tls.client_authorities,
            require_client_certificate=tls.client_authorities is not None,
        )
    )
