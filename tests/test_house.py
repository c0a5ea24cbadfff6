"""What holds the repository together: locks, documents, set-up and the import contracts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.settings_table import settings_and_defaults

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": (),
    "requirements-test.lock": ("test",),
    "requirements-s3.lock": ("s3",),
}
SCRIPTS = ("deploy/setup", "deploy/prove-bare-debian.sh", ".ci/run")


def locked(name: str) -> set[tuple[str, str]]:
    """Packages of a lock file with their versions; a package may have one for each Python."""
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / name).read_text(), re.MULTILINE)
    return set(pinned)


@pytest.mark.parametrize("name", [*LOCKS, "face-model.lock", "face-model-fallback.lock"])
def test_a_lock_holds_versions_and_hashes_and_nothing_else(name: str) -> None:
    pin = r"[a-z0-9-]+==[\w.+!]+( ; [\w.' <>=!]+)? \\"
    line = rf"{pin}|    --hash=sha256:[0-9a-f]{{64}}( \\)?|#.*"
    lines = (REPOSITORY / name).read_text().splitlines()
    assert [each for each in lines if not re.fullmatch(line, each)] == []
    # pip refuses a lock in which one package has no hash, but only when that one is reached.
    followed = zip(lines, [*lines[1:], ""], strict=True)
    assert [a for a, b in followed if "==" in a and not b.startswith("    --hash")] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_the_project(name: str) -> None:
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in LOCKS[name]:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    pinned = locked(name)
    for each in map(Requirement, wanted):
        versions = {v for package, v in pinned if package == canonicalize_name(each.name)}
        assert versions, f"{each.name} is not in {name}: run make lock"
        assert all(map(each.specifier.contains, versions)), f"{each} differs: run make lock"


@pytest.mark.parametrize("name", [each for each in LOCKS if each != "requirements.lock"])
def test_the_locks_agree_on_what_the_node_runs_with(name: str) -> None:
    assert locked("requirements.lock") <= locked(name)


def test_operation_md_lists_every_setting_with_its_default() -> None:
    text = (REPOSITORY / "docs" / "operation.md").read_text()
    table = text.split("## Settings", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| (.+?) \| .+ \|$", table, re.MULTILINE)
    assert dict(rows) == settings_and_defaults()


def test_every_make_target_that_the_documents_name_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    documents = [REPOSITORY / "README.md", *REPOSITORY.glob("d*/**/*.md")]
    named = {
        target
        for each in documents
        for target in re.findall(r"(?:^    |`)make ([a-z-]+)", each.read_text(), re.MULTILINE)
    }
    assert {"run", "test", "demo", "setup", "lint", "lock"} <= named
    assert {each for each in named if f"\n{each}:" not in makefile} == set()


def test_every_subcommand_that_the_documents_name_exists() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main()", "--help"],
        cwd=REPOSITORY,
        env={"COLUMNS": "200", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    documents = [REPOSITORY / "README.md", *REPOSITORY.glob("d*/**/*.md")]
    named = {
        command
        for each in documents
        for command in re.findall(r"(?:bin/|`)hemiface ([a-z]+)", each.read_text())
    }
    assert {"serve", "phantom", "study", "analyze", "doctor"} <= named
    assert {each for each in named if not re.search(rf"\b{each}\b", shown)} == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_valid_bash_and_executable(name: str) -> None:
    script = REPOSITORY / name
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.fixture
def poor_machine(tmp_path: Path) -> Path:
    """A folder with the set-up script and a PATH without Python, sudo or system libraries."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(REPOSITORY / "deploy" / "setup", tmp_path / "deploy")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name, script in {
        "id": "echo 1000",
        "ldconfig": "echo '  libGL.so.1 (libc6) => /lib/libGL.so.1'",
        "apt-get": "exit 100",
    }.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return tmp_path


def set_up(machine: Path, what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [machine / "deploy" / "setup", what],
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_set_up_without_python_says_so_in_one_line(poor_machine: Path) -> None:
    done = set_up(poor_machine, "node")
    assert done.returncode != 0
    assert re.fullmatch(r"set-up: Python 3\.11 or 3\.12 is needed .*\n", done.stderr)


def test_set_up_that_may_not_install_names_the_packages_in_one_line(poor_machine: Path) -> None:
    python = poor_machine / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    done = set_up(poor_machine, "node")
    assert done.returncode != 0
    assert done.stderr == (
        "set-up: the system library libEGL.so.1 is missing; type: sudo apt-get install"
        " --no-install-recommends libgl1 libegl1 libegl-mesa0 libgl1-mesa-dri libgles2"
        " libglib2.0-0\n"
    )


FORBIDDEN = {
    "processing/planted.py": "import dicom_nodes",
    "processing/surface/planted.py": "import processing.photograph",
    "dicom_nodes/planted.py": "import processing.surface",
    "service/planted.py": "import dbos",
    "service/console/planted.py": "import sqlalchemy",
    "processing/photograph/planted.py": "import pydicom",
    "processing/phantom/planted.py": "import vtkmodules",
}


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a house in which every forbidden import is planted."""
    house = tmp_path_factory.mktemp("house")
    for package in ("service", "dicom_nodes", "processing"):
        shutil.copytree(
            REPOSITORY / package, house / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", house)
    for planted, line in FORBIDDEN.items():
        (house / planted).write_text(line + "\n")
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter is not None
    return subprocess.run(
        [linter, "--no-cache"],
        cwd=house,
        env={"PYTHONPATH": str(house), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("planted", FORBIDDEN)
def test_an_import_against_the_house_is_found(
    planted: str, linted: subprocess.CompletedProcess[str]
) -> None:
    module = planted.removesuffix(".py").replace("/", ".")
    assert linted.returncode == 1
    assert f"{module} -> {FORBIDDEN[planted].removeprefix('import ')}" in linted.stdout
