"""What is built from this tree, and whether it installs: run by ``tox -e package``, for it needs a package index."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import List, Set

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(600)


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def source(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    (found,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(found) as archive:
        archive.extractall(folder)
    (unpacked,) = folder.iterdir()
    return unpacked


def fresh_python(folder: Path) -> Path:
    """The interpreter of a new environment, with the pip that came with this Python."""
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    return folder / "venv" / "bin" / "python"


def modules_of(folder: Path) -> Set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*.py")}


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]

    expected = {f"lgsync/{name}" for name in modules_of(ROOT / "lgsync")}
    expected |= {f"lgsync/transports/{name}" for name in modules_of(ROOT / "transports")}
    assert set(names) == expected | {"lgsync/py.typed"}
    assert len(names) == len(set(names))


def test_the_wheel_carries_its_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}

    assert info["LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "lgsync = lgsync.cli.main:main" in info["entry_points.txt"]


def test_the_sdist_holds_what_it_takes_to_test_it(source: Path) -> None:
    missing: List[str] = []
    for name in ("tox.ini", "setup.cfg", "constraints/lowest.txt", ".importlinter", "LICENSE", "README.md"):
        if not (source / name).is_file():
            missing.append(name)
    for folder in ("tests", "lgsync", "transports"):
        missing += [f"{folder}/{name}" for name in modules_of(ROOT / folder) - modules_of(source / folder)]

    assert missing == []


def test_an_installed_wheel_imports_and_its_command_runs(wheel: Path, tmp_path: Path) -> None:
    python = fresh_python(tmp_path)
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]", cwd=tmp_path)

    assert run(python, "-c", "import lgsync, lgsync.transports; print(lgsync.__name__)", cwd=tmp_path) == "lgsync\n"
    assert "Usage: lgsync" in run(python.parent / "lgsync", "--help", cwd=tmp_path)


def test_an_editable_install_imports_inside_and_outside_the_tree(source: Path, tmp_path: Path) -> None:
    python = fresh_python(tmp_path)
    run(python, "-m", "pip", "install", "--quiet", "--editable", source, cwd=tmp_path)
    show = "import lgsync, lgsync.transports as t; print(lgsync.__file__, t.__file__)"

    expected = f"{source}/lgsync/__init__.py {source}/transports/__init__.py\n"
    assert run(python, "-c", show, cwd=tmp_path) == expected
    assert run(python, "-c", show, cwd=source) == expected


def test_transports_is_no_name_of_its_own(wheel: Path, tmp_path: Path) -> None:
    python = fresh_python(tmp_path)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)

    looked_up = "from importlib.util import find_spec; print(find_spec('transports'))"
    assert run(python, "-c", looked_up, cwd=tmp_path) == "None\n"
