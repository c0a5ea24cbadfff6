"""The objects of a result under the order that its study belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.corrected_copy import Modification, write_corrected_copy
from dicom_nodes.objects.written_object import WrittenObject
from service.catalogue import orders
from service.catalogue.database import Database
from service.catalogue.results import MadeObject
from service.catalogue.stored_bytes import StoredBytes
from service.catalogue.studies import KnownInstance, KnownStudy
from service.query_facts import made_facts
from service.settings import Settings
from service.worklist.correction import CorrectionKind, identifiers


@dataclass(frozen=True, slots=True)
class Filed:
    """From what, and into which study, the objects of a result are made.

    Parameters
    ----------
    source_keys : mapping of str to str
        Where the sources are stored, by the SOP Instance UID under which they came.
    copies : tuple of MadeObject
        Corrected copies that go out with the result.
    study_instance_uid : str, optional
        Of the order that the objects are put into.
    uids : mapping of str to str
        Former to new UIDs.
    """

    source_keys: Mapping[str, str]
    copies: tuple[MadeObject, ...]
    study_instance_uid: str | None
    uids: Mapping[str, str]

    def renamed(self, document: Any) -> Any:
        """A document whose every mention of a renamed instance is the new one; ``uid#2`` too."""
        if isinstance(document, dict):
            return {self.renamed(name): self.renamed(each) for name, each in document.items()}
        if isinstance(document, list):
            return [self.renamed(each) for each in document]
        if isinstance(document, str) and self.uids:
            uid, mark, rest = document.partition("#")
            return f"{self.uids.get(uid, uid)}{mark}{rest}"
        return document


@contextmanager
def filed(
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    study: KnownStudy,
    inputs: Sequence[str],
    key: str,
) -> Iterator[Filed]:
    """What a result is made from: as received, or as the study's order corrects it.

    Sources that are corrected for the sake of the result only are gone at the end;
    copies that go out stay, and are in the catalogue as the node's own objects once
    the result is recorded.
    """
    received = {each.sop_instance_uid: each.key for each in study.instances}
    order = orders.order_of_study(database, study.study_instance_uid)
    if order is None or order.step is None or order.correction == CorrectionKind.NONE:
        yield Filed({uid: received[uid] for uid in inputs}, (), None, {})
        return
    correcting = _Correcting(settings, database, stored, study, order)
    if order.correction == CorrectionKind.COPIES:
        yield correcting.into_the_orders_study()
        return
    temporary = {uid: f"work/{key}/source-{number}.dcm" for number, uid in enumerate(inputs)}
    try:
        for uid, temporary_key in temporary.items():
            correcting.write(correcting.instance(uid), temporary_key, {})
        yield Filed(temporary, (), None, {})
    finally:
        for temporary_key in temporary.values():
            stored.remove(temporary_key)


@dataclass(frozen=True, slots=True)
class _Correcting:
    """The correction of one study."""

    settings: Settings
    database: Database
    stored: StoredBytes
    study: KnownStudy
    order: orders.RecordedOrder

    def instance(self, sop_instance_uid: str) -> KnownInstance:
        """An instance of the study."""
        return next(
            each for each in self.study.instances if each.sop_instance_uid == sop_instance_uid
        )

    def into_the_orders_study(self) -> Filed:
        """Copy all that arrived into the order's study."""
        assert self.order.step is not None
        arrived = [each for each in self.study.instances if each.reason is None and not each.own]
        uids = self._uids(arrived)
        keys: dict[str, str] = {}
        copies: list[MadeObject] = []
        for number, each in enumerate(arrived, start=1):
            new_uid = uids[each.sop_instance_uid]
            keys[each.sop_instance_uid] = f"orders/{self.order.key}/{new_uid}.dcm"
            written, facts = self.write(each, keys[each.sop_instance_uid], uids)
            copies.append(
                MadeObject(
                    written.sop_instance_uid,
                    written.sop_class_uid,
                    written.series_instance_uid,
                    f"copy-{number}",
                    keys[each.sop_instance_uid],
                    facts,
                )
            )
        orders.open_study_of_order(self.database, self.study.study_instance_uid, self.order.step)
        return Filed(keys, tuple(copies), self.order.step.study_instance_uid, uids)

    def write(
        self, instance: KnownInstance, key: str, uids: Mapping[str, str]
    ) -> tuple[WrittenObject, dict[str, Any]]:
        """Write a corrected copy of an instance under a key; gives it and what is asked of it."""
        assert self.order.step is not None
        modification = Modification(
            system=f"hemiface {self.settings.dicom.ae_title}",
            source=instance.calling_ae_title,
            made_at=self._made_at(),
            uids=uids,
        )
        order = identifiers(self.order.step, CorrectionKind(self.order.correction))
        with TemporaryDirectory() as folder, self.stored.as_file(instance.key) as source:
            out = Path(folder) / "copy.dcm"
            written = write_corrected_copy(source, out, order, modification)
            self.stored.write(key, out.read_bytes())
            return written, made_facts(out)

    def _made_at(self) -> datetime:
        """When it was decided: a copy that is written once more is the same."""
        return self.order.decided_at

    def _uids(self, arrived: Sequence[KnownInstance]) -> dict[str, str]:
        assert self.order.step is not None
        series = orders.series_of_study(self.database, self.study.study_instance_uid)
        instances = [each.sop_instance_uid for each in arrived]
        return {
            **{uid: content_uid(self.order.key, f"series {uid}") for uid in series},
            **{uid: content_uid(self.order.key, f"instance {uid}") for uid in instances},
            self.study.study_instance_uid: self.order.step.study_instance_uid,
        }
