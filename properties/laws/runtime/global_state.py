"""What a call leaves behind in the process that it was made in. A part of `runtime`."""

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.execution_modes import left_changed
from sdtps_ref.properties.kit.expect import expect_nothing
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.probe import Probe

CASES = (
    Case(2, 6, 3, 8, 2),
    Case(2, 6, 3, 8, 2, training=False),
    Case(2, 6, 3, 8, 2, dtype="float64"),
    Case(2, 6, 3, 8, 2, dtype="bfloat16"),
)


@law(needs="selector|aggregator|pipeline", domain=Domain(fixed=CASES))
def leaves_torch_alone(probe: Probe) -> None:
    """After a call, torch's settings and functions are as they were, and no thread is left running for each call.

    Why: a module is a guest in its caller's process. The default dtype, grad mode or determinism that it
    changes is changed for the whole model, and nobody looks for the cause here.
    Breaks when: `torch.set_default_dtype`, `set_grad_enabled`, `use_deterministic_algorithms` or
    `set_num_threads` is called in forward, a function of torch is replaced, or a thread is started by each call.
    Remedy: pass `dtype=` and `device=`, use the context managers (`with torch.no_grad():`), and wrap functions
    of your own instead of torch's.
    """
    for method in ("selector", "aggregator", "pipeline"):
        if method not in probe.methods:
            continue
        second = None if method == "aggregator" else probe.score
        changed = probe.through(left_changed, probe.build(method), probe.tokens, second, name="changed", doing=method)
        leaves = changed[0] if changed else "nothing"
        expect_nothing(probe, f"a call of the {method} leaves {leaves}, but should leave torch as it was", changed)
