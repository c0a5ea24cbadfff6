"""What is offered beside storage, and who answers it."""

from __future__ import annotations

from types import SimpleNamespace

from pynetdicom import evt
from pynetdicom.presentation import build_context

from dicom_nodes.network.node_service import NodeService, dispatched, service_contexts

COMMITMENT = "1.2.840.10008.1.20.1"
UNIFIED_PROCEDURE_STEP = "1.2.840.10008.5.1.4.34.6.1"


def service(name: str, sop_class: str, *, reported_to: bool = False) -> NodeService:
    return NodeService(
        name, (sop_class,), {evt.EVT_N_ACTION: lambda event: name}, peer_may_be_scp=reported_to
    )


def test_a_message_that_two_services_share_goes_to_the_one_of_its_context() -> None:
    handle = dispatched([service("commit", COMMITMENT), service("steps", UNIFIED_PROCEDURE_STEP)])[
        evt.EVT_N_ACTION
    ]
    for sop_class, name in ((COMMITMENT, "commit"), (UNIFIED_PROCEDURE_STEP, "steps")):
        context = SimpleNamespace(abstract_syntax=sop_class)
        assert handle(SimpleNamespace(context=context)) == name


def test_only_proposed_contexts_are_supported() -> None:
    services = [service("commit", COMMITMENT), service("steps", UNIFIED_PROCEDURE_STEP)]
    contexts = service_contexts(services, [build_context(COMMITMENT)])
    assert [str(each.abstract_syntax) for each in contexts] == [COMMITMENT]


def test_a_peer_may_report_only_where_the_service_says_so() -> None:
    proposed = [build_context(COMMITMENT)]
    (reported,) = service_contexts([service("commit", COMMITMENT, reported_to=True)], proposed)
    (asked,) = service_contexts([service("commit", COMMITMENT)], proposed)
    assert (reported.scu_role, reported.scp_role) == (True, True)
    assert (asked.scu_role, asked.scp_role) == (None, None)
