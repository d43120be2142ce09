"""`sdtps selftest`: who watches the laws."""

from sdtps_ref.command_line.command import command, option
from sdtps_ref.command_line.types import whole
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.selftest.false_alarms import run_false_alarms
from sdtps_ref.properties.selftest.one_law import run_selftest_of
from sdtps_ref.properties.selftest.selftest import run_selftest


@command()
@option("--seeds", type=whole(1), metavar="N", help="instead, count false alarms: right ones, N seeds each")
@option("--law", multiple=True, metavar="ID", help="only this law, or laws of this stage: seconds; may be repeated")
def selftest(seeds: int | None, law: tuple[str, ...]) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    if law and seeds is not None:
        raise InvalidInput("given --law and --seeds; accepted: one of them")
    if law:
        return run_selftest_of(law)
    return run_selftest() if seeds is None else run_false_alarms(seeds)
