"""A module of published classes as an implementation of the contract, with what its adapter did and could not do."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.case import Case
from sdtps_ref.properties.kit.law import Law
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.targets.adapters.multimodal import Container
from sdtps_ref.properties.targets.adapters.signatures import MODALITIES, Recognised, recognise, recognise_class
from sdtps_ref.properties.targets.adapters.token_sparse import Sparse
from sdtps_ref.properties.targets.adapters.wrappers import Aggregator, Modalities, Pipeline, Selector

COMPILED = "the adapter puts the law's score in the place of the module's own, which a compiler would not follow"
BUILT_IN = "its temperature is built in, and this law needs another one"
NEED_ANOTHER = ("noise.is_finite", "gradient.follows_temperature")


class Adapted:
    """Behind the contract: what was recognised, each of its methods only where it can be had.

    found: a line for each class, with the adapter that was taken. notes: what could not be certified, and
    what the adapter did. tau: the temperature, where it is built in and laws are judged at it.
    """

    def __init__(self, classes: list[Recognised], notes: list[str], module: ModuleType | None):
        self.found: list[str] = []
        self.notes = list(notes)
        self.tau: float | None = None
        self.source = getattr(module, "__file__", None)  # what a certificate takes its digest of
        self.replaces_score = False
        self.sparse: Sparse | None = None
        self.aggregation: Recognised | None = None
        self.container: Container | None = None
        by_name = {recognised.signature.class_name: recognised for recognised in classes}
        self.name = ", ".join(recognised.found.__name__ for recognised in classes)
        self.sparse = sparse = self._tried(by_name.get("TokenSparse"), self._take_sparse)
        self._tried(by_name.get("TokenAggregation"), self._take_aggregation)
        self._tried(by_name.get("MultiModalSDTPS"), lambda found: self._take_container(found, sparse))
        if not hasattr(self, "selector"):
            self.notes.append("no selector found" if sparse is None else "the selector is not certified")
        if not hasattr(self, "aggregator"):
            self.notes.append("no aggregator found")
        if not hasattr(self, "pipeline"):
            self.notes.append(
                "no code that joins selector and aggregator was found: whether D is passed on is not certified; "
                "`sdtps init` writes an adapter in which you can hand it over as pipeline"
            )

    def fitted(self, case: Case) -> Case:
        """The case, at the temperature that the module has."""
        return case if self.tau is None else replace(case, tau=self.tau)

    def exempt(self, law: Law) -> str:
        """Why this law cannot be judged through the adapter; empty where it can."""
        if self.replaces_score and law.budget == "compile":
            return COMPILED
        return BUILT_IN if self.tau is not None and law.id in NEED_ANOTHER else ""

    def _tried(self, recognised: Recognised | None, take: Callable[[Recognised], Any]) -> Any:
        if recognised is None:
            return None
        try:
            return take(recognised)
        except (Exception, SystemExit) as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self.notes.append(f"{recognised.found.__name__} raised when it was tried, so it is not certified: {what}")
            return None

    def _take_sparse(self, recognised: Recognised) -> Sparse:
        sparse = Sparse(recognised)
        name = recognised.found.__name__
        self.notes += [f"{name}: {note}" for note in sparse.notes]
        if not sparse.can_select:
            if "decision" in sparse.roles:
                self.notes.append(f"{name}: no one step was found that makes its score")
            self._tell(recognised, "tried as selector")
            return sparse
        if recognised.prints(embed_dim=32, sparse_ratio=0.5):
            self.notes.append(f"{name}: prints at construction; not shown")
        if recognised.takes("use_gumbel"):
            self.notes.append(f"{name}: is built with use_gumbel=True, so that its noise is judged")
        self.tau, self.replaces_score = sparse.tau, not sparse.direct
        if sparse.tau is not None:
            self.notes.append(
                f"{name}: takes no temperature; it is judged at tau = {sparse.tau:g}, which it has built in"
            )
        first, *rest = sparse.attentions
        self._tell(
            recognised,
            f"selector; {first} is the score, {' and '.join(rest)} zero"
            if sparse.direct
            else "selector; the law's score takes the place of the one that it makes of its attentions",
        )

        def selector(*, dim: int, num_tokens: int, keep: int, tau: float) -> Selector:
            return sparse.selector(sparse.make(dim, num_tokens, keep, tau))

        self.selector = selector
        return sparse

    def _take_aggregation(self, recognised: Recognised) -> None:
        if not recognised.call_takes("keep_policy"):
            self.notes.append(f"{recognised.found.__name__}: takes no keep_policy, so D cannot be passed on to it")

        def aggregator(*, dim: int, slots: int) -> Aggregator:
            module = recognised.make(dim=dim, keeped_patches=slots)
            return Aggregator(module, recognised.call_takes("keep_policy"), bool(recognised.further()))

        aggregator(dim=32, slots=3)(torch.zeros(2, 5, 32), torch.ones(2, 5))
        self._tell(recognised, "aggregator")
        self.aggregator, self.aggregation = aggregator, recognised

    def _take_container(self, recognised: Recognised, sparse: Sparse | None) -> None:
        container = Container(recognised, sparse)
        self.notes += [f"{recognised.found.__name__}: {note}" for note in container.notes]

        def model(
            *, dim: int, num_tokens: int, keep: int, slots: int, tau: float
        ) -> tuple[nn.Module, dict[str, Tensor]]:
            module = container.make(dim, num_tokens, keep, slots, tau)
            tokens = {name: torch.randn(4, num_tokens, dim) for name in MODALITIES}
            return module, tokens | {f"{name}_global": torch.randn(4, dim) for name in MODALITIES}

        def multimodal(*, modalities: tuple[str, ...], dim: int, **sizes: Any) -> Modalities:
            if set(modalities) != set(MODALITIES):
                raise Unsupported(f"its modalities are {', '.join(MODALITIES)}")
            return container.modalities(container.make(dim, **sizes))

        def pipeline(*, slots: int, **sizes: Any) -> Pipeline:
            return container.pipeline(container.make(slots=slots, **sizes), slots)

        methods = ["model"]
        self.model, self.container = model, container
        if container.pools:
            self.multimodal = multimodal
            methods.append("modalities")
        if container.wired:
            self.pipeline = pipeline
            self.replaces_score = True
            methods.append(f"pipeline ({MODALITIES[0]}, its score replaced)")
        self._tell(recognised, ", ".join(methods))

    def _tell(self, recognised: Recognised, taken: str) -> None:
        self.found.append(f"{recognised.found.__name__} recognised as {recognised.signature.title}: {taken}")


def adapt(subject: ModuleType | type) -> tuple[Adapted | None, list[str]]:
    """An implementation made of a module's published classes, or of one class; None and why, if there are none."""
    if isinstance(subject, type):
        matched = recognise_class(subject)
        if isinstance(matched, str):
            return None, [matched] if matched else []
        return Adapted([matched], [], sys.modules.get(subject.__module__)), []
    classes, notes = recognise(subject)
    return (Adapted(classes, notes, subject) if classes else None), notes
