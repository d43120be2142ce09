"""`sdtps selftest`: who watches the laws."""

import argparse

from sdtps_ref.properties.selftest.false_alarms import run_false_alarms
from sdtps_ref.properties.selftest.selftest import run_selftest


def selftest(arguments: list[str]) -> int:
    """Run every law on every planted fault and on right implementations; print the kill matrix."""
    parser = argparse.ArgumentParser(prog="sdtps selftest", description=selftest.__doc__)
    parser.add_argument("--seeds", type=int, metavar="N", help="instead, count false alarms: right ones, N seeds each")
    options = parser.parse_args(arguments)
    if options.seeds is None:
        return run_selftest()
    if options.seeds < 1:
        parser.error(f"given --seeds {options.seeds}; accepted: 1 or more")
    return run_false_alarms(options.seeds)
