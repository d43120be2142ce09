"""`sdtps selftest`: who watches the laws."""

from sdtps_ref.command_line.command import command, option
from sdtps_ref.command_line.types import whole
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.selftest.causes import run_causes
from sdtps_ref.properties.selftest.false_alarms import run_false_alarms
from sdtps_ref.properties.selftest.one_law import run_selftest_of
from sdtps_ref.properties.selftest.selftest import run_selftest


@command()
@option("--seeds", type=whole(1), metavar="N", help="instead, count false alarms: right ones, N seeds each")
@option("--law", multiple=True, metavar="ID", help="only this law, or laws of this stage: seconds; may be repeated")
@option(
    "--causes", is_flag=True, help="instead, for each planted fault, whether the cause told first is the planted one"
)
def selftest(seeds: int | None, law: tuple[str, ...], causes: bool) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    given = [name for name, value in (("--law", law), ("--seeds", seeds), ("--causes", causes)) if value]
    if len(given) > 1:
        raise InvalidInput(f"given {' and '.join(given)}; accepted: one of them")
    if law:
        return run_selftest_of(law)
    if causes:
        return run_causes()
    return run_selftest() if seeds is None else run_false_alarms(seeds)
