"""From the catalogue to the Query/Retrieve services that the node offers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.query import Question, RetrievedInstance
from dicom_nodes.network.query_scp import QueryOptions, query_service
from dicom_nodes.network.retrieve_scp import RetrieveOptions, retrieve_service
from service.catalogue.database import Database
from service.catalogue.queries import answers, instances_of, supported_keys
from service.catalogue.stored_bytes import StoredBytes
from service.peers import application_entity
from service.settings import Settings


def query_retrieve_services(
    settings: Settings, database: Database, stored: StoredBytes
) -> list[NodeService]:
    """C-FIND, and C-MOVE and C-GET, for what is in the catalogue."""

    def retrieved(question: Question) -> Iterator[RetrievedInstance]:
        for found in instances_of(database, question):
            yield RetrievedInstance(
                found.sop_class_uid, found.sop_instance_uid, partial(stored.as_file, found.key)
            )

    return [
        query_service(
            QueryOptions(
                find=partial(answers, database),
                supported_keys=supported_keys,
                ae_title=settings.dicom.ae_title,
                maximum_answers=settings.query.maximum_answers,
            )
        ),
        retrieve_service(
            RetrieveOptions(instances=retrieved, destination=partial(application_entity, settings))
        ),
    ]
