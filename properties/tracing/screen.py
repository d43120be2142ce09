"""The first screen: one cause with its line and remedy, then the ladder; 80 columns."""

from __future__ import annotations

import math
import textwrap

from sdtps_ref.properties.tracing.cause import Cause
from sdtps_ref.properties.tracing.seen import SiteSeen, StepSeen

WIDTH = 80
LABEL = 9


def screen(seen: StepSeen) -> str:
    """All that is told of a step."""
    lines = [verdict(seen)]
    if seen.error is not None:
        lines += _told("raised", f"{seen.error} (passed on as it was)")
    for cause in seen.causes[:1]:
        lines += _cause("cause" if cause.accuses else "remark", cause)
    for cause in seen.causes[1:5]:
        lines += _short(cause)
    for site in seen.sites[:3]:
        lines += _site(site)
    if len(seen.sites) > 3:
        lines += _told("also", f"{len(seen.sites) - 3} more places where tokens are chosen, in seen.json and seen.html")
    lines += seen.nothing
    lines += _told("step", step_words(seen))
    for note in seen.notes:
        lines += _told("note", note)
    return "\n".join(lines)


def verdict(seen: StepSeen) -> str:
    """In one line, whether the selection learns."""
    if not seen.sites:
        return "NOTHING SEEN  no selection"
    if seen.cause is not None:
        return "SICK  the selection does not learn as it should"
    if not any(site.rungs for site in seen.sites):
        return "UNDECIDED  no backward pass was seen; nothing is wrong in the forward pass"
    return "HEALTHY  the gradient reaches the score at its right size"


def _told(label: str, text: str, *, more: str = " " * LABEL) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{label:{LABEL}}", subsequent_indent=more, break_long_words=False)


def _cause(label: str, cause: Cause) -> list[str]:
    lines = _told(label, cause.message)
    if cause.where is not None:
        lines += _told("", f"{cause.where}   {cause.where.text}", more=" " * (LABEL + 2))
    return [*lines, *_told("", cause.effect), *_told("fix", cause.fix)]


def _short(cause: Cause) -> list[str]:
    where = f"{cause.where}   " if cause.where is not None else ""
    return _told("also" if cause.accuses else "remark", f"{where}{cause.message}")


def _site(site: SiteSeen) -> list[str]:
    where = "  ".join(f"{name} {line}" for name, line in site.lines.items() if line is not None)
    often = f", {site.times} times" if site.times > 1 else ""
    kept = "?" if site.kept is None else str(site.kept)
    lines = _told("site", where)
    lines += _told("", f"B={site.batch} N={site.total} K={kept} {site.dtype} {site.device}{often}; form: {site.form}")
    lines += _told("", soft_words(site))
    for rung in site.rungs:
        size = "none" if rung.norm is None else f"{rung.norm:.3g}"
        line = str(rung.where) if rung.where is not None else ""
        lines.append(f"{'':{LABEL}}{rung.name:24}{size:>10}  {times_words(rung.times):>14}  {line}".rstrip())
    return lines


def times_words(times: float | None) -> str:
    """How many times what is owed."""
    if times is None:
        return ""
    if not math.isfinite(times):
        return "x not finite"
    if 0.01 <= times < 1000:
        return f"x {times:.2g}"
    return f"x {times:.1e}"


def soft_words(site: SiteSeen) -> str:
    """The soft mask of a site."""
    soft = site.soft
    parts = [f"soft mask: {soft.kind}"]
    if soft.tau is not None:
        parts.append(f"tau {soft.tau:.4g} ({soft.products} vector products)")
    parts.append(f"noise {soft.noise}")
    if soft.largest is not None:
        parts.append(f"largest p {soft.largest:.3g}, entropy {soft.entropy:.2f}")
        parts.append(f"99 % of the gradient to {soft.share:.0%} of tokens")
    return "; ".join(parts)


def step_words(seen: StepSeen) -> str:
    """What was watched: passes, loss scale, and the norm of all gradients before and after clipping."""
    parts = [f"{seen.forwards} forward and {seen.backwards} backward passes of {seen.model}"]
    if seen.scale != 1:
        parts.append(f"loss scale {seen.scale:g} divided out")
    before, after = seen.before_clipping, seen.after_clipping
    if before is not None:
        parts.append(f"gradient norm {before:.3g}")
        if after is not None and math.isfinite(before) and abs(after - before) > 1e-5 * before:
            parts.append(f"{after:.3g} when the optimizer took it{_clipped(seen.scale, before, after)}")
    return "; ".join(parts)


def _clipped(scale: float, before: float, after: float) -> str:
    if scale != 1 and abs(after * scale - before) < 1e-3 * before:
        return " (unscaled)"
    return " (clipped)"
