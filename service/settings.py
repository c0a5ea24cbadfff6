"""The one settings tree: ``hemiface.toml``, then environment variables.

``HEMIFACE_DICOM__PORT=104`` sets ``port`` in the table ``[dicom]``. The file is
``hemiface.toml`` in the working folder unless ``HEMIFACE_SETTINGS`` names another.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dicom_nodes.network.admission import networks
from dicom_nodes.network.permissions import PeerRule
from service.local_address import is_loopback

AETitle = Annotated[
    str, StringConstraints(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")
]


class Table(BaseModel):
    """A table of the settings file; a name that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TLSSettings(Table):
    """DICOM over TLS by the BCP 195 profile; off while `certificate` is not set."""

    certificate: Path | None = None
    private_key: Path | None = None
    client_authorities: Path | None = None
    require_client_certificate: bool = False
    port: int = 2762


class PeerPermission(Table):
    """What one calling AE title may do, and the certificates that prove it."""

    ae_title: AETitle
    services: tuple[str, ...] | None = None
    certificates: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _certificates_can_be_compared(self) -> Self:
        PeerRule(self.ae_title, self.services, self.certificates)
        return self


class DicomSettings(Table):
    """How the node listens, and whom it accepts."""

    ae_title: AETitle = "HEMIFACE"
    address: str = "127.0.0.1"
    port: int = 11112
    processes: int = Field(default=2, ge=1, le=64)
    require_called_ae_title: bool = False
    calling_ae_titles: tuple[AETitle, ...] = ()
    peer_addresses: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    transfer_syntaxes: tuple[str, ...] = ()
    maximum_associations: int = Field(default=64, ge=1)
    maximum_associations_per_peer: int = Field(default=32, ge=1)
    maximum_connections_per_second: float = Field(default=100, ge=0)
    slowest_bytes_per_second: float = Field(default=1000, ge=0)
    maximum_pdu_bytes: int = Field(default=131072, ge=4096)
    acse_timeout_seconds: float = 5
    network_timeout_seconds: float = 60
    tls: TLSSettings = TLSSettings()
    only_permitted_peers: bool = False
    permissions: tuple[PeerPermission, ...] = ()

    @model_validator(mode="after")
    def _each_ae_title_has_one_permission(self) -> Self:
        titles = [each.ae_title.strip() for each in self.permissions]
        twice = sorted({each for each in titles if titles.count(each) > 1})
        if twice:
            raise ValueError(f"permissions name {', '.join(twice)} more than once")
        bound = [each.ae_title for each in self.permissions if each.certificates]
        if bound and self.tls.client_authorities is None:
            raise ValueError(
                f"permissions bind {bound[0]} to a certificate; set tls.client_authorities, "
                "without which no peer is asked for one"
            )
        return self


class HttpTLSSettings(Table):
    """HTTP over TLS by the BCP 195 profile; off while `certificate` is not set."""

    certificate: Path | None = None
    private_key: Path | None = None


class AuditRepository(Table):
    """Where audit messages are sent: syslog over TLS (RFC 5425) or UDP (RFC 5426)."""

    address: str
    port: int = Field(default=6514, ge=1, le=65535)
    transport: Literal["tls", "udp"] = "tls"
    authorities: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    check_name: bool = True


class AuditSettings(Table):
    """The audit trail (PS3.15, section A.5)."""

    enabled: bool = True
    enterprise_site: str | None = None
    rotate_bytes: int = Field(default=50_000_000, ge=10_000)
    user_header: str | None = None
    repository: AuditRepository | None = None


class HttpSettings(Table):
    """Where the page, the health checks, the metrics and DICOMweb are served."""

    address: str = "127.0.0.1"
    port: int = 8080
    tls: HttpTLSSettings = HttpTLSSettings()


class DicomwebClient(Table):
    """Who may use DICOMweb with this token, for what, and under which AE title it is known."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w .-]+$")]
    token: Annotated[SecretStr, Field(min_length=16, max_length=4096)]
    ae_title: AETitle = "DICOMWEB"
    permissions: tuple[Literal["store", "query"], ...] = ("store", "query")
    sends_complete_sets: bool = True


class DicomwebSettings(Table):
    """DICOMweb below ``/dicom-web`` of the HTTP address.

    Where no client is named everybody may use it who reaches the address, which
    then must be one of this machine alone.
    """

    clients: tuple[DicomwebClient, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    maximum_requests: int = Field(default=16, ge=1, le=256)
    idle_timeout_seconds: float = Field(default=60, gt=0)


class StorageSettings(Table):
    """Where the bytes live, and how much room must stay free."""

    bytes_url: str | None = Field(
        default=None, description="fsspec URL such as s3://bucket/folder; local disk when not set"
    )
    reserve_bytes: int = Field(default=2_000_000_000, ge=0)


class DatabaseSettings(Table):
    """The catalogue and the engine's tables; SQLite in the data folder when not set."""

    url: str | None = None


class CompletionSettings(Table):
    """When a study counts as complete."""

    quiet_seconds: float = Field(default=30, gt=0)
    maximum_seconds: float = Field(default=900, gt=0)
    start_on_declared_inputs: bool = True
    start_on_stow_request: bool = True


class QuerySettings(Table):
    """Query/Retrieve for what is in the catalogue: C-FIND, C-MOVE and C-GET."""

    offered: bool = True
    maximum_answers: int = Field(default=10_000, ge=1)


class DestinationTLS(Table):
    """How the node proves itself to a destination over TLS, and whom it trusts there."""

    authorities: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    check_name: bool = True


class ApplicationEntity(Table):
    """A peer that the node opens associations with."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w .-]+$")]
    ae_title: AETitle
    address: str
    port: int = Field(ge=1, le=65535)
    tls: DestinationTLS | None = None


class Destination(ApplicationEntity):
    """A peer that results are sent to.

    `confirm` says how it is made sure that it holds them: by storage commitment
    and, where that is not offered or gives no report, by C-FIND (`best`); by one of
    these alone; or not beyond its answers to C-STORE.
    """

    confirm: Literal["best", "commitment", "query", "none"] = "best"


class WebServer(Table):
    """A DICOMweb server that the node calls; a token goes before user and password."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w .-]+$")]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^/]")]
    token: SecretStr | None = None
    user: str | None = None
    password: SecretStr | None = None
    tls: DestinationTLS | None = None


class WebDestination(WebServer):
    """A DICOMweb server that results are sent to by STOW-RS.

    With `ae_title` it is also the sender's place: what came under this AE title goes
    back here.
    """

    ae_title: AETitle | None = None


class DeliverySettings(Table):
    """Where results go, and how patiently.

    With `to_sender` a result goes to the destination whose AE title is that of
    the peer which sent the study; `destinations` named in `always_to` get every
    result.
    """

    destinations: tuple[Destination, ...] = ()
    web_destinations: tuple[WebDestination, ...] = ()
    always_to: tuple[str, ...] = ()
    to_sender: bool = True
    commitment_wait_seconds: float = Field(default=5, ge=0)
    commitment_timeout_seconds: float = Field(default=600, gt=0)
    first_retry_seconds: float = Field(default=5, gt=0)
    longest_retry_seconds: float = Field(default=600, gt=0)


class CommitmentSettings(Table):
    """How requests of peers for storage commitment are answered."""

    offered: bool = True
    give_up_days: float = Field(default=7, gt=0)


class PriorSource(ApplicationEntity):
    """An archive that earlier studies are asked for and fetched from."""

    retrieve: Literal["C-GET", "C-MOVE"] = "C-GET"


class WebPriorSource(WebServer):
    """A DICOMweb server that earlier studies are asked for by QIDO-RS and fetched from by WADO-RS.

    What it brings is kept as sent by `ae_title`.
    """

    ae_title: AETitle = "DICOMWEB"


class PriorSettings(Table):
    """Where a patient's earlier studies come from, and how many; off without a source."""

    sources: tuple[PriorSource, ...] = ()
    web_sources: tuple[WebPriorSource, ...] = ()
    maximum_studies: int = Field(default=4, ge=1, le=100)
    maximum_instances: int = Field(default=200, ge=1, le=10_000)
    maximum_bytes: int = Field(default=2_000_000_000, ge=1)
    maximum_age_days: int = Field(default=3650, ge=1)
    maximum_attempts: int = Field(default=150, ge=1)
    first_retry_seconds: float = Field(default=5, gt=0)
    longest_retry_seconds: float = Field(default=600, gt=0)

    @property
    def all_sources(self) -> tuple[PriorSource | WebPriorSource, ...]:
        """Every archive, in the order in which they are asked."""
        return (*self.sources, *self.web_sources)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        if len({each.name for each in self.all_sources}) < len(self.all_sources):
            raise ValueError("two sources of priors have the same name")
        return self


StepLabel = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class StepSource(ApplicationEntity):
    """A peer whose Unified Procedure Steps the node performs: those of one worklist.

    With `subscribe` it is asked to report on them to the node's port.
    """

    worklist_label: StepLabel
    subscribe: bool = False


class WebStepSource(Table):
    """A UPS-RS server whose Unified Procedure Steps the node performs: those of one worklist.

    With `subscribe` the node opens a channel on which the server reports on them.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w .-]+$")]
    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    token: str | None = Field(default=None, repr=False)
    authorities: Path | None = None
    worklist_label: StepLabel
    subscribe: bool = False
    events_url: Annotated[str, StringConstraints(pattern=r"^wss?://")] | None = None


class ProcedureStepSettings(Table):
    """Unified Procedure Steps that the node performs, and those that it asks people for.

    Off without a source. `review_source` names the one where a step is made for each
    new result, in which a person reviews it.
    """

    sources: tuple[StepSource, ...] = ()
    web_sources: tuple[WebStepSource, ...] = ()
    poll_seconds: float = Field(default=10, gt=0)
    maximum_seconds: float = Field(default=14400, gt=0)
    review_source: str | None = None
    review_worklist_label: StepLabel = "REVIEW"
    first_retry_seconds: float = Field(default=1, gt=0)
    longest_retry_seconds: float = Field(default=30, gt=0)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        names = [each.name for each in self.sources] + [each.name for each in self.web_sources]
        if len(set(names)) < len(names):
            raise ValueError("two sources of procedure steps have the same name")
        if self.review_source is not None and self.review_source not in names:
            raise ValueError("review_source names no source of procedure steps")
        return self


class UrgencyRule(Table):
    """A study is urgent when every attribute that is given here matches."""

    calling_ae_title: str | None = None
    modality: str | None = None
    study_description_contains: str | None = None


class WorkSettings(Table):
    """The worker processes."""

    slots: int = Field(default=1, ge=1, le=64)
    measuring_timeout_seconds: float = Field(default=300, gt=0)
    child_memory_limit_bytes: int = Field(default=3_000_000_000, gt=0)
    urgent_priorities: tuple[str, ...] = ("STAT", "HIGH")
    urgency_rules: tuple[UrgencyRule, ...] = ()


class PerformedStepSettings(Table):
    """Whether modalities may tell of their procedure steps (MPPS), and how long that is kept."""

    offered: bool = False
    keep_days: int = Field(default=90, ge=1, le=3650)


class OrdersTLS(Table):
    """HL7 over TLS by the BCP 195 profile; off while `certificate` is not set."""

    certificate: Path | None = None
    private_key: Path | None = None
    client_authorities: Path | None = None


class OrderSettings(Table):
    """Where orders by HL7 v2 are taken (MLLP), and from whom; off while `port` is not set."""

    port: int | None = Field(default=None, ge=1, le=65535)
    address: str = "127.0.0.1"
    peer_addresses: tuple[str, ...] = ()
    maximum_connections: int = Field(default=16, ge=1, le=256)
    maximum_message_bytes: int = Field(default=262_144, ge=1024, le=16_777_216)
    message_timeout_seconds: float = Field(default=30, gt=0)
    idle_timeout_seconds: float = Field(default=3600, gt=0)
    tls: OrdersTLS = OrdersTLS()

    @model_validator(mode="after")
    def _who_may_order_is_known(self) -> Self:
        networks(self.peer_addresses)
        knows_peers = self.peer_addresses or self.tls.client_authorities is not None
        if self.port is not None and not is_loopback(self.address) and not knows_peers:
            raise ValueError(
                "worklist.orders.address is reached from other machines; name those that may "
                "order in worklist.orders.peer_addresses, or set tls.client_authorities"
            )
        if (self.tls.certificate is None) != (self.tls.private_key is None):
            raise ValueError("worklist.orders.tls has a certificate or a private key, not both")
        if self.tls.client_authorities is not None and self.tls.certificate is None:
            raise ValueError("worklist.orders.tls.client_authorities needs tls.certificate")
        return self


class WorklistSettings(Table):
    """Which worklist is asked for scheduled procedures, and what a match may change.

    Nobody is asked while no `peer` is set. No stations, or no modalities, means any.
    """

    peer: ApplicationEntity | None = None
    every_seconds: float = Field(default=120, ge=5)
    stations: tuple[AETitle, ...] = ()
    modalities: tuple[
        Annotated[str, StringConstraints(min_length=1, max_length=16, pattern=r"^[A-Z0-9_ ]+$")],
        ...,
    ] = ("XC",)
    days_before: int = Field(default=1, ge=0, le=365)
    days_after: int = Field(default=1, ge=0, le=365)
    keep_days: int = Field(default=30, ge=1, le=3650)
    put_under_order: Literal["off", "results", "copies"] = "results"
    orders: OrderSettings = OrderSettings()


class PhotographCalibration(Table):
    """The size of a pixel at the face, for the photographs that match all that is named.

    `columns` and `rows` are those of the picture: a camera's calibration does not
    hold for a picture that was scaled.
    """

    mm_per_pixel: float = Field(gt=0, le=10)
    uncertainty_mm_per_pixel: float = Field(ge=0, le=1)
    by: Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[\w .,-]+$")] = (
        "ruler"
    )
    station_name: str | None = None
    ae_title: AETitle | None = None
    columns: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)


class PhotographSettings(Table):
    """How photographs are measured, and what is refused.

    `headline`, `midline` and `midline_pairs` are as in
    `processing.photograph.options.PhotographOptions`.
    """

    yaw_limit_deg: float = Field(default=5, gt=0)
    pitch_limit_deg: float = Field(default=15, gt=0)
    roll_limit_deg: float = Field(default=20, gt=0)
    smallest_face_pixels: float = Field(default=200, ge=80)
    headline: Literal["landmark_pairs", "hemiface_area", "denadai"] = "landmark_pairs"
    midline: Literal["upper face", "pupils", "nasion-subnasale", "pairs"] = "upper face"
    midline_pairs: tuple[str, ...] = ()
    edited_landmark_uncertainty_mm: float = Field(default=0.2, gt=0, le=10)
    calibrations: tuple[PhotographCalibration, ...] = ()

    @model_validator(mode="after")
    def _pairs_are_named_for_them_alone(self) -> Self:
        if (self.midline == "pairs") != bool(self.midline_pairs):
            raise ValueError("midline_pairs are named for midline = 'pairs', and for no other")
        return self


class SurfaceSettings(Table):
    """How surface scans are measured; `plane` is as in `processing.surface.options`."""

    plane: Literal["lesion aware", "upper face", "landmarks"] = "lesion aware"


class Verifier(Table):
    """A person who may verify reports by HTTP; `name` is ``Family^Given``."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=194)]
    organization: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    token: Annotated[SecretStr, Field(min_length=16, max_length=4096)]


class ReportSettings(Table):
    """How results are written for people, and who may verify them."""

    language: Literal["en", "zh"] = "en"
    verifiers: tuple[Verifier, ...] = ()


class Settings(BaseSettings):
    """Everything that a site can choose."""

    model_config = SettingsConfigDict(
        env_prefix="HEMIFACE_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    data_folder: Path = Path("data")
    face_model: Path | None = None
    log_format: Literal["console", "json"] = "console"
    dicom: DicomSettings = DicomSettings()
    http: HttpSettings = HttpSettings()
    dicomweb: DicomwebSettings = DicomwebSettings()
    audit: AuditSettings = AuditSettings()
    storage: StorageSettings = StorageSettings()
    database: DatabaseSettings = DatabaseSettings()
    peers: tuple[ApplicationEntity, ...] = ()
    commitment: CommitmentSettings = CommitmentSettings()
    completion: CompletionSettings = CompletionSettings()
    delivery: DeliverySettings = DeliverySettings()
    query: QuerySettings = QuerySettings()
    priors: PriorSettings = PriorSettings()
    procedure_steps: ProcedureStepSettings = ProcedureStepSettings()
    work: WorkSettings = WorkSettings()
    performed_steps: PerformedStepSettings = PerformedStepSettings()
    worklist: WorklistSettings = WorklistSettings()
    photograph: PhotographSettings = PhotographSettings()
    surface: SurfaceSettings = SurfaceSettings()
    report: ReportSettings = ReportSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables win over the file."""
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, settings_file()),
        )


def settings_file() -> Path:
    """The settings file, whether or not it exists."""
    return Path(os.environ.get("HEMIFACE_SETTINGS", "hemiface.toml"))


def load_settings() -> Settings:
    """Read the settings from file and environment.

    Raises
    ------
    pydantic.ValidationError
        If a value is not usable; the message names the setting.
    """
    return Settings()
