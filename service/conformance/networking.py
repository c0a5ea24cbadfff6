"""What the statement says of the application entity and its services (PS3.2, section A.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import IntEnum
from typing import Final

from dicom_nodes.network.instance_store import StoreStatus
from dicom_nodes.network.mpps_scp import StepStatus
from dicom_nodes.network.negotiation import (
    Accepted,
    accepted_of,
    implementation,
    known_storage_classes,
)
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.peer import MAXIMUM_PDU_BYTES, MOST_CONTEXTS, Peer
from dicom_nodes.network.permissions import STORE
from dicom_nodes.network.proposed_services import (
    PROPOSED,
    AskedKey,
    procedure_step_keys,
    proposed_transfer_syntaxes,
    worklist_keys,
)
from dicom_nodes.network.query import Level
from dicom_nodes.network.query_scp import FIND_MODELS, QUERY_STATUSES
from dicom_nodes.network.retrieve_scp import GET_MODELS, MOVE_MODELS, RETRIEVE_STATUSES
from dicom_nodes.network.retrieve_scu import RETRIEVED_TRANSFER_SYNTAXES
from dicom_nodes.network.storage_commitment import MOST_REFERENCES, FailureReason
from dicom_nodes.network.storage_commitment_scp import REQUEST_STATUSES
from dicom_nodes.objects.dictionary_names import name_of_attribute, name_of_uid
from service.catalogue.queries import matched_keys, supported_keys
from service.conformance.markdown import listed, paragraphs, table
from service.conformance.offered_node import OfferedNode

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"


def network_overview(node: OfferedNode) -> str:
    """Each network service, and in which role the node has it."""
    provided = {uid: service for service in node.services for uid in service.sop_classes}
    used = {uid for service in PROPOSED for uid in service.sop_classes}
    rows = [
        (
            name_of_uid(uid),
            "yes" if uid in used else _offered(node, provided.get(uid), as_user=True),
            _offered(node, provided.get(uid), as_user=False),
        )
        for uid in sorted(provided.keys() | used, key=name_of_uid)
    ]
    storage = ("Storage: SOP classes as in [section 8.2](#82-storage-sop-classes)", "yes", "yes")
    return table(("Network service", "User (SCU)", "Provider (SCP)"), [storage, *rows])


def association_policies(node: OfferedNode) -> str:
    """How associations are opened and accepted."""
    itself = implementation()
    return table(
        ("", "accepting", "opening"),
        [
            ("application context", *(_uid(_APPLICATION_CONTEXT),) * 2),
            (
                "maximum PDU size",
                f"{node.listening.maximum_pdu_bytes} bytes",
                f"{MAXIMUM_PDU_BYTES} bytes",
            ),
            (
                "associations at once",
                f"{node.listening.maximum_associations}, "
                f"{node.listening.maximum_associations_per_peer} of one address; in each of "
                f"{node.settings.dicom.processes} processes",
                "as many as are needed for what is sent or asked at the same time",
            ),
            ("presentation contexts", f"{MOST_CONTEXTS}", f"{MOST_CONTEXTS} at most"),
            ("asynchronous operations", "one at a time", "one at a time; no window is proposed"),
            ("Implementation Class UID", *(itself.class_uid,) * 2),
            ("Implementation Version Name", *(itself.version_name,) * 2),
        ],
    )


def limits(node: OfferedNode) -> str:
    """What a peer may cost, as the node listens and as it calls."""
    listening = [
        (f"`{name}`", str(value))
        for name, value in _numbers(node.listening)
        if name not in ("port", "maximum_pdu_bytes")
    ]
    defaults = Peer("", "", "", 0, "")
    calling = [(f"`{name}`", str(value)) for name, value in _numbers(defaults) if name != "port"]
    return paragraphs(
        "As acceptor, by default:",
        table(("limit", "value"), listening),
        "As requestor:",
        table(("limit", "value"), calling),
    )


def accepted_services(node: OfferedNode) -> str:
    """The presentation contexts that are accepted beside storage."""
    rows = [
        (
            name_of_uid(each.sop_class_uid),
            each.sop_class_uid,
            "SCU; the peer reports as SCP" if service.is_user else _role(each),
            f"`{service.name}`",
        )
        for service in node.services
        for each in accepted_of(node.listening, node.services, service.sop_classes)
    ]
    return paragraphs(
        table(("SOP class", "UID", "role of the node", "name among the permissions"), rows),
        "Transfer syntaxes of these, the first being preferred:",
        _syntaxes(_of_all_services(node)),
    )


def accepted_storage(node: OfferedNode) -> str:
    """Which storage contexts are accepted, and what is answered to a C-STORE."""
    classes = known_storage_classes()
    accepted = accepted_of(node.listening, node.services, classes)
    (syntaxes,) = {each.transfer_syntaxes for each in accepted}
    return paragraphs(
        f"The node is SCP of {len(accepted)} storage SOP classes by name "
        "([section 8.2](#82-storage-sop-classes)), and of every abstract syntax that is no class "
        f"of another service: retired, private and future ones. Of these transfer syntaxes it "
        "accepts the first that the peer proposes, and an unknown one where nothing else is "
        "proposed. `dicom.sop_classes` and `dicom.transfer_syntaxes` restrict both. The name among "
        f"the permissions is `{STORE}`.",
        _syntaxes(sorted(syntaxes, key=name_of_uid)),
        "Level of conformance: full (2); every element is kept, private ones included, and no "
        "element is coerced. An instance is answered with success when its bytes and its row in "
        "the catalogue are durable. The same data set under the same SOP Instance UID is success "
        "again; another data set under a UID that is held is success, is kept apart, and is not "
        "used ([durability.md](durability.md)).",
        _statuses("C-STORE", "PS3.4, table B.2-1", _by_name(StoreStatus)),
        _stored_back(node),
    )


def proposed_services() -> str:
    """The presentation contexts that the node proposes."""
    rows = [
        (
            service.name,
            f"PS3.4, {service.section}",
            name_of_uid(uid),
            uid,
            service.purpose,
        )
        for service in PROPOSED
        for uid in service.sop_classes
    ]
    syntaxes = {proposed_transfer_syntaxes(row[3]) for row in rows}
    return paragraphs(
        table(("service", "section", "SOP class", "UID", "what for"), rows),
        "Transfer syntaxes of these:",
        *(_syntaxes(each) for each in sorted(syntaxes)),
        "Storage as SCU: the SOP class and transfer syntax of each file that is sent, each in a "
        "context of its own, and the other of implicit and explicit VR little endian to fall back "
        "to. Instances that come by C-GET are taken in these transfer syntaxes, each in a context "
        "of its own:",
        _syntaxes(RETRIEVED_TRANSFER_SYNTAXES),
    )


def query_retrieve() -> str:
    """The keys of the catalogue, and what is answered to queries and retrievals."""
    levels = list(Level)
    keys = sorted({each for level in levels for each in supported_keys(level)})
    rows = [
        (name_of_attribute(each), *(_support(each, level) for level in levels)) for each in keys
    ]
    return paragraphs(
        f"C-FIND in {_names(FIND_MODELS)}; C-MOVE in {_names(MOVE_MODELS)}; C-GET in "
        f"{_names(GET_MODELS)}. Searches and retrievals are hierarchical; no extended negotiation "
        "(relational queries, combined date and time, fuzzy matching) takes place. QIDO-RS knows "
        "the same keys.",
        table(("attribute", *(str(each) for each in levels)), rows),
        _statuses("C-FIND", "PS3.4, table C.4-1", QUERY_STATUSES.items()),
        _statuses("C-MOVE and C-GET", "PS3.4, tables C.4-2 and C.4-3", RETRIEVE_STATUSES.items()),
    )


def storage_commitment() -> str:
    """The bounds and failure reasons of storage commitment."""
    return paragraphs(
        f"A request names {MOST_REFERENCES} instances at most. The report goes out on the same "
        "association or on a new one. How long commitment is asked for and reported is set "
        "([operation.md](operation.md#storage-commitment)).",
        _statuses("N-ACTION", "PS3.4, section J.3.2.2", REQUEST_STATUSES.items()),
        _statuses("Failure Reason (0008,1197)", "PS3.3 C.14.1.1", _by_name(FailureReason)),
    )


def performed_steps() -> str:
    """What is answered to N-CREATE and N-SET."""
    return _statuses("N-CREATE and N-SET", "PS3.7, annex C", _by_name(StepStatus))


def asked_worklists() -> str:
    """The keys by which worklists are asked."""
    return paragraphs(
        "Modality Worklist (scheduled procedure steps):",
        _asked(worklist_keys()),
        "Unified Procedure Step:",
        _asked(procedure_step_keys()),
    )


def storage_classes(read: Mapping[str, Collection[str]]) -> str:
    """All storage SOP classes that are known by name, with what is read from them."""
    purposes = {uid: purpose for purpose, uids in read.items() for uid in uids}
    return table(
        ("SOP class", "UID", "read as"),
        [(name, uid, purposes.get(uid, "")) for uid, name in known_storage_classes().items()],
    )


def _offered(node: OfferedNode, service: NodeService | None, *, as_user: bool) -> str:
    """Whether the node takes associations for a service in this role."""
    if service is None or service.is_user != as_user:
        return "no"
    return "yes, when switched on" if service.name in node.off_by_default else "yes"


def _role(accepted: Accepted) -> str:
    return "SCP; SCU where the peer proposes to be SCP" if accepted.peer_may_be_scp else "SCP"


def _of_all_services(node: OfferedNode) -> tuple[str, ...]:
    """The transfer syntaxes of all services, which are the same."""
    classes = [uid for service in node.services for uid in service.sop_classes]
    accepted = accepted_of(node.listening, node.services, classes)
    (syntaxes,) = {each.transfer_syntaxes for each in accepted}
    return syntaxes


def _stored_back(node: OfferedNode) -> str:
    """Which proposals let the peer take instances on its own association."""
    storage = next(iter(known_storage_classes()))
    back = [
        uid
        for service in node.services
        for uid in service.sop_classes
        if any(
            each.peer_may_be_scp
            for each in accepted_of(node.listening, node.services, (uid, storage))
            if each.sop_class_uid == storage
        )
    ]
    return (
        "A peer may propose to be the SCP of storage (SCP/SCU Role Selection) on an association "
        f"that has a context for {_names(back)}."
    )


def _names(uids: Iterable[str]) -> str:
    return " and ".join(name_of_uid(each) for each in uids)


def _uid(uid: str) -> str:
    return f"{uid} ({name_of_uid(uid)})"


def _syntaxes(uids: Sequence[str]) -> str:
    return listed(_uid(each) for each in uids)


def _statuses(of: str, section: str, statuses: Iterable[tuple[int, str]]) -> str:
    rows = [(f"0x{number:04X}", meaning) for number, meaning in sorted(statuses)]
    return paragraphs(f"{of} ({section}):", table(("status", "meaning"), rows))


def _by_name(statuses: type[IntEnum]) -> Iterator[tuple[int, str]]:
    return ((int(each), _words(each.name)) for each in statuses)


def _words(name: str) -> str:
    """The name of a constant in words, abbreviations of the standard in capitals."""
    words = name.split("_")
    return " ".join(each if each in ("SOP", "UID") else each.lower() for each in words)


def _support(keyword: str, level: Level) -> str:
    if keyword not in supported_keys(level):
        return ""
    return "matched" if keyword in matched_keys(level) else "returned"


def _asked(keys: Sequence[AskedKey]) -> str:
    return table(
        ("attribute", "key"),
        [
            (name_of_attribute(each.keyword), "matching" if each.is_matched else "return")
            for each in keys
        ],
    )


def _numbers(options: object) -> Iterator[tuple[str, float]]:
    """Names and values of the fields of a dataclass that are numbers."""
    for each in fields(options):  # type: ignore[arg-type] # any dataclass
        value = getattr(options, each.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield each.name, value
