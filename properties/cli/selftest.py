"""`sdtps selftest`: who watches the laws."""

import argparse
from pathlib import Path

from sdtps_ref.properties.maintenance.kill_matrix import write_into
from sdtps_ref.properties.selftest.false_alarms import run_false_alarms
from sdtps_ref.properties.selftest.selftest import run_selftest


def selftest(arguments: list[str]) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    parser = argparse.ArgumentParser(prog="sdtps selftest", description=selftest.__doc__)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead, count false alarms: right ones, N seeds each")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="instead, renew the kill matrix in FILE")
    options = parser.parse_args(arguments)
    if options.readme is not None:
        write_into(options.readme)
        return 0
    if options.seeds is None:
        return run_selftest()
    if options.seeds < 1:
        parser.error(f"given --seeds {options.seeds}; accepted: 1 or more")
    return run_false_alarms(options.seeds)
