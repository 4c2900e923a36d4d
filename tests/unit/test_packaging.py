from __future__ import annotations

import configparser
from pathlib import Path
from typing import Dict, Iterator, List

ROOT = Path(__file__).resolve().parents[2]


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def lines(text: str) -> List[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def packages_under(folder: str, name: str) -> Iterator[str]:
    for file in sorted((ROOT / folder).rglob("*.py")):
        yield ".".join((name, *file.parent.relative_to(ROOT / folder).parts))


def floors(requirements: List[str]) -> Dict[str, str]:
    """The lowest version of each requirement that holds on every Python."""
    pairs = (requirement.split(">=", 1) for requirement in requirements if ";" not in requirement)
    return dict(pairs)


def test_every_package_of_the_tree_is_listed_once() -> None:
    found = {*packages_under("lgsync", "lgsync"), *packages_under("transports", "lgsync.transports")}

    assert lines(setup_cfg()["options"]["packages"]) == sorted(found)


def test_transports_is_installed_inside_lgsync() -> None:
    assert lines(setup_cfg()["options"]["package_dir"]) == ["lgsync = lgsync", "lgsync.transports = transports"]


def test_the_lowest_versions_tested_are_the_lowest_declared() -> None:
    cfg = setup_cfg()
    extras = cfg["options.extras_require"].values()
    declared = lines("\n".join([cfg["options"]["install_requires"], *extras]))
    tested = lines((ROOT / "constraints" / "lowest.txt").read_text())

    assert dict(line.split("==") for line in tested) == floors(declared)


def test_every_classified_python_is_tested() -> None:
    tested = (ROOT / "tox.ini").read_text()
    prefix = "Programming Language :: Python :: 3."
    minors = [line[len(prefix) :] for line in lines(setup_cfg()["metadata"]["classifiers"]) if line.startswith(prefix)]

    assert minors == ["9", "10", "11", "12", "13"]
    assert [minor for minor in minors if f"py3{minor}" not in tested and f"= python3.{minor}," not in tested] == []
