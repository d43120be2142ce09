"""What an adapter does, as Python: the script of a failure defines `implementation` by it."""

from collections.abc import Collection, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from sdtps_ref.properties import contract
from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.places import parts, tensors
from sdtps_ref.properties.kit.rendering import Loader
from sdtps_ref.properties.kit.roots import import_lines
from sdtps_ref.properties.targets.adapters import wrappers
from sdtps_ref.properties.targets.adapters.adapted import Adapted
from sdtps_ref.properties.targets.adapters.multimodal import Container
from sdtps_ref.properties.targets.adapters.signatures import MODALITIES, Recognised
from sdtps_ref.properties.targets.adapters.token_sparse import Sparse

# In the order in which the script has them: what others are made of comes first.
CARRIED = (
    Unsupported,
    contract._describe,
    contract.Selection,
    tensors,
    parts,
    wrappers.is_a_row,
    wrappers.Substitute,
    wrappers.substituted,
    wrappers.modal_inputs,
    wrappers.pooled,
    wrappers.Selector,
    wrappers.Aggregator,
    wrappers.Modalities,
    wrappers.Pipeline,
)


class Expression(str):
    """Python that stands for a value."""

    def __repr__(self) -> str:
        return str(self)


def written(adapted: Adapted, methods: Collection[str]) -> Loader:
    """The classes, and those of the contract's methods that are asked for, at the sizes that the adapter has met."""
    classes: list[Recognised] = []
    text: list[str] = []
    if adapted.sparse and "selector" in methods:
        classes.append(adapted.sparse.recognised)
        text.append(_selector(adapted.sparse))
    if adapted.aggregation and "aggregator" in methods:
        classes.append(adapted.aggregation)
        text.append(_aggregator(adapted.aggregation))
    if adapted.container and {"model", "multimodal", "pipeline"} & set(methods):
        classes.append(adapted.container.recognised)
        text += [_made(adapted.container), *_of_container(adapted.container, methods)]
    body = "\n\n".join(indent(each, "    ") for each in text)
    names = dict.fromkeys(each.found.__qualname__.partition(".")[0] for each in classes)
    imported = import_lines(Path(adapted.source).resolve(), names) if adapted.source else "# import its classes here"
    return Loader(f"{imported}\n\n\nclass implementation:\n{body}", CARRIED)


def _call(recognised: Recognised, **arguments: Any) -> str:
    given = recognised.given(arguments)
    return f"{recognised.found.__qualname__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _selector(sparse: Sparse) -> str:
    odd = {sizes: ratio for sizes, ratio in sparse.ratios.items() if ratio != sizes[1] / sizes[0]}
    ratio = f"{odd!r}.get((num_tokens, keep), keep / num_tokens)" if odd else "keep / num_tokens"
    made = _call(
        sparse.recognised,
        embed_dim=Expression("dim"),
        sparse_ratio=Expression(ratio),
        use_gumbel=True,
        gumbel_tau=Expression("tau"),
    )
    further = sparse.recognised.further()
    return f"""@staticmethod
def selector(*, dim, num_tokens, keep, tau):
    module = {made}
    return Selector(module, {len(sparse.attentions)}, {sparse.roles!r}, {sparse.places()!r}, {further!r})"""


def _aggregator(recognised: Recognised) -> str:
    made = _call(recognised, dim=Expression("dim"), keeped_patches=Expression("slots"))
    return f"""@staticmethod
def aggregator(*, dim, slots):
    return Aggregator({made}, {recognised.call_takes("keep_policy")}, {bool(recognised.further())})"""


def _made(container: Container) -> str:
    made = _call(
        container.recognised,
        embed_dim=Expression("dim"),
        num_patches=Expression("num_tokens"),
        sparse_ratio=Expression("sparse_ratio"),
        aggr_ratio=Expression("aggr_ratio"),
        use_gumbel=True,
        gumbel_tau=Expression("tau"),
    )
    return f"""@staticmethod
def made(*, dim, num_tokens, keep, slots, tau):
    sparse_ratio, aggr_ratio = {container.ratios!r}[num_tokens, keep, slots]
    return {made}"""


def _of_container(container: Container, methods: Collection[str]) -> Iterator[str]:
    if "model" in methods:
        tokens = ", ".join(f"{name!r}: torch.randn(4, num_tokens, dim)" for name in MODALITIES)
        features = ", ".join(f"'{name}_global': torch.randn(4, dim)" for name in MODALITIES)
        yield f"""@staticmethod
def model(*, dim, num_tokens, **sizes):
    module = implementation.made(dim=dim, num_tokens=num_tokens, **sizes)
    return module, {{{tokens}, {features}}}"""
    if "multimodal" in methods:
        yield f"""@staticmethod
def multimodal(*, modalities, **sizes):
    return Modalities(implementation.made(**sizes), {MODALITIES!r})"""
    if "pipeline" in methods and container.sparse:
        yield f"""@staticmethod
def pipeline(*, slots, **sizes):
    module = implementation.made(slots=slots, **sizes)
    return Pipeline(module, {container.sparse.recognised.found.__name__!r}, {container.sparse.made_at()!r}, slots)"""
