"""Order messages as a RIS sends them."""

from __future__ import annotations

from datetime import UTC, datetime

MOMENT = datetime.now(UTC)
NOW = f"{MOMENT:%Y%m%d%H%M%S}+0000"
TODAY = f"{datetime.now().astimezone():%Y%m%d}"


def orm(
    control: str = "NW",
    *,
    control_id: str = "M1",
    said_at: str = NOW,
    accession: str = "A1",
    start: str = f"{TODAY}0930",
    zds: str = "1.2.99",
    status: str = "",
    modality: str = "XC",
    step_id: str = "S1",
    charset: str = "UNICODE UTF-8",
) -> str:
    """ORM^O01 as IHE RAD-4 has it (HL7 v2.3.1)."""
    lines = [
        f"MSH|^~\\&|RIS|HOSPITAL|HEMIFACE|PLASTICS|{said_at}||ORM^O01|{control_id}|P|2.3.1"
        f"||||||{charset}",
        "PID|1||P1^^^HOSPITAL||Wang^XiaoDong^^Jr^Dr~王^小东^^^^^^I||19800102|M",
        "PV1|1|O||||||77^Li^Hua",
        f"ORC|{control}|PL1^RIS|FI1^RIS||{status}||^^^{start}^^S|||||||||||STUDIO1",
        f"OBR|1|PL1^RIS|FI1^RIS|F1^Face \\T\\ neck^L^SPS1^Frontal view^L||||||||||||||"
        f"{accession}|R1|{step_id}||||{modality}|||^^^{start}^^S",
        f"ZDS|{zds}^^Application^DICOM" if zds else "",
    ]
    return "".join(f"{each}\r" for each in lines if each)


def omi(control: str = "NW", *, control_id: str = "M1", said_at: str = NOW) -> str:
    """OMI^O23 as IHE RAD-4 has it (HL7 v2.5.1), with two steps."""
    lines = [
        f"MSH|^~\\&|RIS|HOSPITAL|HEMIFACE|PLASTICS|{said_at}||OMI^O23^OMI_O23|{control_id}|P|2.5.1"
        "||||||UNICODE UTF-8",
        "PID|1||P1^^^HOSPITAL||Wang^XiaoDong||19800102|M",
        f"ORC|{control}|PL1^RIS|FI1^RIS",
        f"TQ1|1||||||{TODAY}093000||A",
        "OBR|1|PL1^RIS|FI1^RIS|F1^Face^L",
        "IPC|A1|R1|1.2.99|S1|XC|P1^Frontal view|||STUDIO1",
        "IPC|A1|R1|1.2.99|S2|XC|P2^Lateral view|||STUDIO2",
    ]
    return "".join(f"{each}\r" for each in lines)
