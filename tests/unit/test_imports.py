from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module", ["websockets", "click", "rich", "lgsync.transports", "lgsync.dev_server", "lgsync.cli"]
)
def test_importing_lgsync_does_not_import(module: str, tmp_path: Path) -> None:
    show = f"import sys, lgsync; print({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", show], stdout=subprocess.PIPE, cwd=tmp_path, check=True)

    assert done.stdout == b"False\n"


def test_without_flask_its_helpers_name_the_extra(tmp_path: Path) -> None:
    without = "import sys; sys.modules['flask'] = None; import lgsync.flask"
    done = subprocess.run([sys.executable, "-c", without], stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)

    assert done.returncode == 1
    assert "pip install 'lgsync[flask]'" in done.stderr
