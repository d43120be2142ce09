"""`sdtps selftest`: who watches the laws."""

from sdtps_ref.command_line.command import command, option
from sdtps_ref.command_line.types import whole
from sdtps_ref.properties.selftest.false_alarms import run_false_alarms
from sdtps_ref.properties.selftest.selftest import run_selftest


@command()
@option("--seeds", type=whole(1), metavar="N", help="instead, count false alarms: right ones, N seeds each")
def selftest(seeds: int | None) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    return run_selftest() if seeds is None else run_false_alarms(seeds)
