"""A certificate of an importable target, stored in a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdtps_ref.properties import check_implementation
from sdtps_ref.properties.certificates.certificate import Certificate, digest
from sdtps_ref.properties.reports.record import record
from sdtps_ref.properties.targets.target import load

SUBJECT = """
from sdtps_ref.properties.selftest.planted.baseline import Plain

class Mine(Plain):
    name = "mine"
    def join(self, hard, soft):
        return hard + soft - soft.detach()
"""
LAWS = ("decision.forward_is_hard", "decision.ignores_noise_forward")


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file whose D lacks its parentheses."""
    path = tmp_path_factory.mktemp("subject") / "subject_of_stored.py"
    path.write_text(SUBJECT)
    return f"{path}:Mine"


@pytest.fixture(scope="session")
def certificate(target: str) -> Certificate:
    """What two laws say of it: one refuses, the other is blocked."""
    return check_implementation(load(target), laws=LAWS, target=target, isolated=False, reproduce=False)


@pytest.fixture
def stored(certificate: Certificate, tmp_path: Path) -> Path:
    """The certificate in a file."""
    path = tmp_path / "certificate.json"
    path.write_text(record(certificate))
    return path


@pytest.fixture
def forged(stored: Path) -> Callable[..., Path]:
    """The file with something in it changed: by a function of the record, the digest renewed if so asked."""

    def forge(change: Callable[[dict[str, Any]], None], *, renew: bool = True) -> Path:
        changed = json.loads(stored.read_text())
        change(changed)
        if renew:
            changed["sha256"] = digest(changed)
        stored.write_text(json.dumps(changed))
        return stored

    return forge
