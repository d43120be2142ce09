"""All that a law may do with an implementation: build it, call it, differentiate it.

Every step is written down as a line of a script, and so is what a law computes with torch, so that a failure
comes with a program that repeats it with torch and the implementation alone.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from sdtps_ref.properties.contract import Selection, provided
from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.differentiation import Differentiation
from sdtps_ref.properties.kit.global_state import preserve_settings
from sdtps_ref.properties.kit.outcomes import Unsupported, Violation, raised_by_judge
from sdtps_ref.properties.kit.recording import Recorder
from sdtps_ref.properties.kit.script import Script

LONGEST = 200  # characters of what the implementation raised that a message repeats

# What torch says of an operation, or of a constant such as -1e9, that half precision does not have: loud, and no
# wrong result.
NO_HALF = ("not implemented for", "without overflow")


class SubjectError(Exception):
    """The implementation raised. `original` is what it raised, `during` the call it was raised in."""

    def __init__(self, original: BaseException, during: str):
        super().__init__(f"{during} raised {type(original).__name__}: {first_line(original)}")
        self.original, self.during = original, during


class Probe(Differentiation):
    """One implementation on one case. `tokens` and `score` are the case's own; the score requires grad."""

    def __init__(self, implementation: Any, case: Case):
        self.implementation, self.case = implementation, case
        self.methods = provided(implementation)
        self.script = Script(case)
        self._recorder = Recorder(self.script.record)
        self.seconds_inside = 0.0
        self.answers = 0  # calls to which the implementation returned or raised something
        self.findings: dict[str, Any] = {}  # told on the certificate
        self.evidence: dict[str, Any] = {}  # drawn in its reports
        self.notes: set[str] = set()  # what the implementation did besides
        self._built: dict[tuple[Any, ...], Any] = {}
        self.tokens, self.score = case.make_tokens(), case.make_score().requires_grad_()
        self.script.define_value("tokens", self.tokens, case.recipe("tokens"))
        self.script.define_value("score", self.score, case.recipe("score"))

    def recording(self) -> AbstractContextManager[None]:
        """Within the block, what is computed with torch is known to the script. Every law runs in it."""
        return self._recorder.recording()

    def unrecorded(self) -> AbstractContextManager[None]:
        """Within the block it is not: for code that compiles, or calls the implementation by itself."""
        return self._recorder.paused()

    def given(self, name: str, value: Tensor, *, requires_grad: bool = False, recipe: str | None = None) -> Tensor:
        """An input for the implementation, detached. recipe: how a script writes a large one that no torch made."""
        with self.unrecorded():
            made = value.detach().requires_grad_(requires_grad)
        self.script.define_given(name, made, value, recipe)
        return made

    def tracked_tokens(self) -> Tensor:
        """The case's own tokens, requiring grad."""
        return self.given("tracked_tokens", self.tokens, requires_grad=True, recipe=self.case.recipe("tokens"))

    def random(self, like: Tensor, name: str = "cotangent", seed: int = 0) -> Tensor:
        """Normal values in the shape of `like`, from the case's seed."""
        seed += self.case.seed + 7
        with self.unrecorded():
            drawn = values.draw("normal", tuple(like.shape), seed).to(like)
        self.script.define_value(
            name, drawn, f"draw('normal', {tuple(like.shape)}, {seed}).to({like.device.type!r}, {like.dtype})"
        )
        return drawn

    def build(
        self, method: str, *, training: bool | None = None, fresh: bool = False, seed: int | None = None, **changes: Any
    ) -> Any:
        """What the implementation's factory `method` returns for this case, moved and switched; built once.

        changes: sizes that differ from the case's, by the factory's argument names. seed: of its weights, in place of
        the case's, for a fresh one.
        """
        case = self.case
        sizes = {
            "dim": case.dim,
            "num_tokens": case.num_tokens,
            "keep": case.keep,
            "slots": case.slots,
            "tau": case.tau,
        }
        accepted = {"selector": ("dim", "num_tokens", "keep", "tau"), "aggregator": ("dim", "slots")}
        arguments = {name: sizes[name] for name in accepted.get(method, tuple(sizes))} | changes
        training = case.training if training is None else training
        key = (method, training, *arguments.items())
        if fresh or key not in self._built:
            seed = case.seed if seed is None else seed
            seed_torch(seed)
            self.script.define_build(method, arguments, seed)
            name = self.script.last
            built = self._run(f"{method}(...)", getattr(self.implementation, method), **arguments)
            if not callable(built) and method != "model":
                raise Violation(f"{method}(...) returned {type(built).__name__}, but should return something callable")
            self.script.define_prepare(name, built, training)
            self._built[key] = values.prepare(built, case.torch_dtype, case.device, training)
            self._name(self._built[key], name)
        return self._built[key]

    def select(
        self, tokens: Tensor | None = None, score: Tensor | None = None, *, seed: int = 0, **build: Any
    ) -> Selection:
        """One call of the selector, read by attribute. seed: of torch's global generator before the call."""
        tokens, score = self._or_own(tokens, score)
        result = self.call(self.build("selector", **build), tokens, score, name="selection", seed=seed)
        return self.selection(result)

    def selection(self, result: Any) -> Selection:
        """What the last call returned, read by attribute: it may have slots, or make its tensors when they are read."""
        for attribute in ("selected_tokens", "decision"):
            if not isinstance(getattr(result, attribute, None), Tensor):
                kind = type(getattr(result, attribute, None)).__name__
                raise Violation(
                    f"selector returned {type(result).__name__} whose {attribute} is {kind}, but should be a Tensor",
                    check=f"isinstance(getattr({self.script.last}, {attribute!r}, None), torch.Tensor)",
                )
        fields: dict[str, Any] = {name: getattr(result, name, None) for name in Selection.__dataclass_fields__}
        for attribute, value in fields.items():
            self.script.name(value, f"{self.script.last}.{attribute}")
        return Selection(**fields)

    def aggregate(self, tokens: Tensor, decision: Tensor | None, *, seed: int = 0, **build: Any) -> Tensor:
        """One call of the aggregator."""
        return self._tensor(self.call(self.build("aggregator", **build), tokens, decision, name="pooled", seed=seed))

    def pool(self, tokens: Tensor | None = None, score: Tensor | None = None, *, seed: int = 0, **build: Any) -> Tensor:
        """One call of the pipeline."""
        tokens, score = self._or_own(tokens, score)
        return self._tensor(self.call(self.build("pipeline", **build), tokens, score, name="pooled", seed=seed))

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        name: str,
        seed: int | None = 0,
        named: dict[str, Any] | None = None,
    ) -> Any:
        """Call something of the implementation's, with the global generator seeded first. named: keyword arguments."""
        named = named or {}
        if seed is not None:
            seed_torch(self.case.seed + seed)
        self.script.define_call(name, function, arguments, None if seed is None else self.case.seed + seed, named)
        last = self.script.last
        return self._name(self._run(self.script.shown(function), function, *arguments, **named), last)

    def through(self, way: Callable[..., Any], *arguments: Any, name: str, doing: str) -> Any:
        """Run the implementation by `way`, a function of `running` whose source text the script carries.

        doing: what the report calls it, should it raise.
        """
        self.script.carry(way)
        self.script.define_call(name, way, arguments, None)
        last = self.script.last
        return self._name(self._run(doing, way, *arguments), last)

    def _or_own(self, tokens: Tensor | None, score: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.tokens if tokens is None else tokens, self.score if score is None else score

    def _tensor(self, result: Any) -> Tensor:
        if not isinstance(result, Tensor):
            raise Violation(
                f"{self.script.last} is {type(result).__name__}, but should be a Tensor B M C",
                check=f"isinstance({self.script.last}, torch.Tensor)",
            )
        return result

    def _run(self, during: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            with self.unrecorded(), preserve_settings(during, self.notes):
                returned = function(*arguments, **named)
            self.answers += not during.endswith("(...)")  # a factory alone has shown nothing
            return returned
        except NotImplementedError as error:
            if not during.endswith("(...)"):  # only a factory may leave something out
                self.answers += 1
                raise SubjectError(error, during) from error
            raise Unsupported(f"{during} is not implemented") from error
        except Unsupported as error:
            if raised_by_judge(error):  # an adapter, which is ours
                raise
            raise SubjectError(error, during) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # hypothesis ends an example with one that is no Exception
            if self.case.dtype in ("float16", "bfloat16") and any(words in str(error) for words in NO_HALF):
                raise Unsupported(f"no {self.case.dtype} on {self.case.device}: {first_line(error)}") from error
            self.answers += 1
            raise SubjectError(error, during) from error
        finally:
            self.seconds_inside += time.perf_counter() - started


def seed_torch(seed: int) -> None:
    """What `torch.manual_seed` does, as far as there are devices: it keeps a stack trace for each that is absent."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    try:
        said = str(error)
    except Exception:  # it is the implementation's class, whose str() may do anything
        said = "its str() raises"
    line = (said.strip() or "no message").splitlines()[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
