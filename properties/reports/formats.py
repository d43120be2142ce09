"""The formats that a certificate is written in, as options of a command."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtps_ref.command_line.command import option, together
from sdtps_ref.command_line.types import FILE
from sdtps_ref.errors import InvalidInput
from sdtps_ref.optional_libraries import require
from sdtps_ref.output_files import replace_text
from sdtps_ref.output_paths import check_writable

if TYPE_CHECKING:  # it brings torch, and the options of a command must not
    from sdtps_ref.properties.certificates.certificate import Certificate


@dataclass(frozen=True)
class Format:
    """A format: what the help says it is, the module and function of that name that write it, and what they need."""

    what: str
    source: str
    libraries: tuple[str, ...] = ()

    def made(self, certificate: "Certificate") -> str:
        """The certificate in this format."""
        return getattr(import_module(f"sdtps_ref.properties.reports.{self.source}"), self.source)(certificate)


FORMATS = {
    "json": Format("the certificate itself, from which the others can be made", "record"),
    "junit": Format("JUnit XML", "junit", ("junitparser",)),
    "markdown": Format("a summary for a pull request", "markdown"),
    "sarif": Format("SARIF 2.1.0, which shows findings in code review", "sarif"),
    "badge": Format("an endpoint for a badge of shields.io", "badge"),
    "html": Format("one self-contained page with plots", "html", ("jinja2", "matplotlib")),
}


def format_options(*, but: tuple[str, ...] = (), heading: str = "Options") -> Callable[[Any], Any]:
    """One option a format, each with the file to write; `but` those."""
    return together(
        *(
            option(f"--{name}", type=FILE, metavar="FILE", heading=heading, help=f"write {known.what}")
            for name, known in FORMATS.items()
            if name not in but
        )
    )


def asked_for(options: Mapping[str, Any]) -> dict[str, Path]:
    """The file for each format that was asked for; options: all of the command's, by name.

    Before there is anything to lose, InvalidInput is raised where the folder of one is not there, it is a folder
    itself, or two formats name one file, and MissingLibrary where a library is missing.
    """
    files: dict[str, Path] = {}
    for name, known in FORMATS.items():
        path = options.get(name)
        if path is None:
            continue
        check_writable(f"--{name} {path}", path)
        for other, taken in files.items():
            if taken.resolve() == path.resolve():
                raise InvalidInput.given(f"{path} for --{other} and for --{name}", "a file for each")
        for library in known.libraries:
            require(library, f"--{name}")
        files[name] = path
    return files


def write_reports(certificate: "Certificate", files: Mapping[str, Path]) -> list[str]:
    """Write each format into its file. Returns a line for each that could not be written; the others are."""
    problems = []
    for name, path in files.items():
        try:
            replace_text(path, FORMATS[name].made(certificate))
        except OSError as error:
            problems.append(f"--{name} {path} could not be written: {error.strerror or error}")
    return problems
