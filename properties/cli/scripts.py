"""The scripts of failures as files, so that the last screen need not hold them."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from sdtps_ref.output_files import replace_text
from sdtps_ref.properties.certificates.certificate import Certificate

FOLDER = Path(".sdtps") / "scripts"


def write_scripts(certificate: Certificate) -> list[str]:
    """Write one file a failure, below `.sdtps/scripts`, and say where; nothing where that folder cannot be written."""
    scripts = {result.id: result.failure.script for result in certificate.laws if result.failure}
    scripts = {law_id: script for law_id, script in scripts.items() if script}
    if not scripts:
        return []
    folder = FOLDER / re.sub(r"[^\w.-]+", "-", str(certificate.implementation["name"]))[:60].strip("-.")
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.py"):
            old.unlink()
        for law_id, script in scripts.items():
            replace_text(folder / f"{law_id}.py", script)
        return [f"{folder} ({len(scripts)} script{'s' * (len(scripts) > 1)})"]
    return []
