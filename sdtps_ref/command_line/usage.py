"""What click does not accept, in the form that all our messages have: `given X; accepted: Y`."""

from collections.abc import Mapping

import click

from sdtps_ref.errors import InvalidInput


def usage_line(error: click.UsageError, moved: Mapping[tuple[str, str], str]) -> str:
    """The error in one line. moved: what replaced an option that is no more, by command and option."""
    ctx = error.ctx
    if isinstance(error, click.NoSuchOption):
        option, _, _ = error.option_name.partition("=")
        if ctx is not None and (instead := moved.get((ctx.info_name or "", option))):
            return str(InvalidInput.given(option, instead))
        return str(InvalidInput.unknown("option", option, [] if ctx is None else _options(ctx)))
    if isinstance(error, click.MissingParameter) and error.param is not None and ctx is not None:
        what = getattr(error.param, "description", "") or getattr(error.param, "help", "")
        name = error.param.make_metavar(ctx).strip("[].")
        if error.param.param_type_name == "option":
            name = f"{error.param.opts[-1]} {name}"
        return str(InvalidInput.given(f"no {name}", what or name))
    if isinstance(error, click.BadOptionUsage) and ctx is not None:
        known = next((p for p in ctx.command.params if error.option_name in p.opts), None)
        if getattr(known, "is_flag", False) or known is None:
            return str(InvalidInput.given(f"{error.option_name} with a value", error.option_name))
        name = known.opts[-1]
        return str(InvalidInput.given(f"{name} without a value", f"{name} {known.make_metavar(ctx)}"))
    return error.message


def _options(ctx: click.Context) -> list[str]:
    named = [name for each in ctx.command.get_params(ctx) for name in each.opts if name.startswith("-")]
    return list(dict.fromkeys(named))
