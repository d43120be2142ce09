"""What a call leaves behind it, after it returned and after it raised. A part of `runtime`."""

from sdtps_ref.properties.kit import process_state
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.domain import Domain
from sdtps_ref.properties.kit.expect import expect_nothing
from sdtps_ref.properties.kit.later_calls.answers import copied
from sdtps_ref.properties.kit.later_calls.disturbances import Interrupting, call_aside, interrupt, raising
from sdtps_ref.properties.kit.law import law
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.kit.values import _is_filled, modules_in
from sdtps_ref.properties.laws.later_calls.asking import METHODS, subjects

BOTH = Domain(fixed=(Case(2, 6, 3, 8, 2), Case(2, 6, 3, 8, 2, training=False)))


@law(needs="|".join(METHODS), domain=BOTH)
def leaves_the_process_alone(probe: Probe) -> None:
    """After a call that returned, and after one that raised, all of the process is as before: torch's switches and
    flags, numpy's and Python's random state, warnings' filters, the environment, the modes of modules, requires_grad.

    Why: a module is a guest in its caller's process. What it changes is changed for the whole program: a precision, a
    benchmark mode, a filter that hides another's warning; and nobody looks for the cause here.
    Breaks when: `torch.backends.*`, `set_float32_matmul_precision`, `warnings.simplefilter`, `numpy.random.seed` or
    `self.train()` is called in forward, or a setting is put back only where nothing raised.
    Remedy: leave settings to the caller; context managers and `try: ... finally:` for what must be changed for a
    moment.
    """
    probe.script.carry(
        _is_filled,
        modules_in,
        copied,
        call_aside,
        Interrupting,
        interrupt,
        raising,
        process_state.Kept,
        process_state.start_elsewhere,
        process_state.torch_flags,
        process_state.switches,
        process_state.surroundings,
        process_state.generators,
        process_state.flags_of,
    )
    for subject in subjects(probe):
        built = subject.fresh()
        for way in ("with gradients", "without gradients", "that raised", "from other settings"):
            found = probe.through(
                process_state.left_otherwise,
                built,
                subject.arguments,
                subject.named,
                way,
                name="changed",
                doing=f"{subject.name} {way}",
            )
            told = found[0] if found else "nothing"
            expect_nothing(
                probe, f"a call of the {subject.name} {way} leaves another {told}; it should leave it as it was", found
            )


@law(needs="|".join(METHODS), domain=BOTH)
def train_and_eval_return(probe: Probe) -> None:
    """module.train() and module.eval() return the module, and reach every part of it.

    Why: `model = model.eval()` is what people write; where it returns nothing, the model is None. A part that a mode
    does not reach draws noise in evaluation, or none in training.
    Breaks when: `train` is overridden without its return, or does not call `super().train(mode)`; or a part is held in
    a list, where `children()` does not find it.
    Remedy: `def train(self, mode=True): ...; return super().train(mode)`.
    """
    probe.script.carry(_is_filled, modules_in)
    tried = False
    for subject in subjects(probe):
        built = subject.fresh()
        tried |= bool(modules_in(built))
        found = probe.through(process_state.not_returned, built, name="wrong", doing=f"modes of the {subject.name}")
        told = found[0] if found else "nothing"
        expect_nothing(probe, f"{subject.name}: {told}", found)
    if not tried:
        raise Unsupported("nothing is a module, so there are no modes")
