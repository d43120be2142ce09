"""A published MultiModalSDTPS: as modalities, as a model, and, the score of one modality replaced, as a pipeline."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals.model import tensors
from sdtps_ref.properties.targets.adapters.signatures import MODALITIES, Recognised
from sdtps_ref.properties.targets.adapters.substitution import substituted
from sdtps_ref.properties.targets.adapters.token_sparse import Sparse

B, N, K, C, SLOTS, TAU = 2, 12, 6, 32, 3, 0.7


class Container:
    """What an adapter knows of one MultiModalSDTPS class, found out on a small instance."""

    def __init__(self, recognised: Recognised, sparse: Sparse | None):
        self.recognised = recognised
        self.sparse = sparse if sparse is not None and sparse.can_select else None
        self.notes: list[str] = []
        self._ratios: dict[tuple[int, int, int], tuple[float, float]] = {}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            module = self.make(C, N, K, SLOTS, TAU)
            listed = [part for _, part in tensors(module(*inputs(B, N, C, 0)), "")]
            self.pools = len(_pooled(listed, C)) >= len(MODALITIES)
            if not self.pools:
                self.notes.append("does not return the pooled tokens of three modalities: modalities are not certified")
            self.wired = self.pools and self._score_arrives(module)
        if not self.wired:
            self.notes.append("the score of one modality could not be replaced: its wiring is not certified alone")

    def make(self, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> nn.Module:
        """An instance that keeps exactly `keep` of `num_tokens`, and pools them into `slots` and an extra token."""
        sizes = (num_tokens, keep, slots)
        if sizes not in self._ratios:
            self._ratios[sizes] = self._find_ratios(*sizes)
        sparse_ratio, aggr_ratio = self._ratios[sizes]
        return self._build(dim, num_tokens, tau, sparse_ratio, aggr_ratio)

    def run(self, module: nn.Module, given: list[Tensor]) -> list[Tensor]:
        """The pooled tokens of the three modalities, B M+1 C each."""
        pooled = _pooled([part for _, part in tensors(module(*given), "")], given[0].shape[-1])
        if len(pooled) < len(MODALITIES):
            raise Unsupported("pooled tokens of three modalities are not returned here")
        return pooled[: len(MODALITIES)]

    def pool(self, module: nn.Module, tokens: Tensor, score: Tensor, slots: int) -> Tensor:
        """The slots of the first modality with this score in place of its own."""
        batch, num_tokens, dim = tokens.shape
        given = [part.to(tokens) for part in inputs(batch, num_tokens, dim, 1)]
        given[0] = tokens
        return self._with_score(module, given, score)[0][:, :slots]

    def _with_score(self, module: nn.Module, given: list[Tensor], score: Tensor) -> list[Tensor]:
        assert self.sparse is not None
        place = self.sparse.place[module.training]
        assert place is not None
        selectors = self._selectors(module)
        called: list[nn.Module] = []

        def wrap(selector: nn.Module) -> Callable[..., Any]:
            own = selector.forward

            def forward(*arguments: Any, **named: Any) -> Any:
                called.append(selector)
                if len(called) > 1:
                    return own(*arguments, **named)
                return substituted(lambda: own(*arguments, **named), place, score)

            return forward

        for selector in selectors:
            selector.forward = wrap(selector)
        try:
            return self.run(module, given)
        finally:
            for selector in selectors:
                del selector.forward

    def _selectors(self, module: nn.Module) -> list[nn.Module]:
        assert self.sparse is not None
        return [part for part in module.modules() if type(part) is self.sparse.recognised.found]

    def _score_arrives(self, module: nn.Module) -> bool:
        """Whether the score of the first call of a selector moves the first output, and no other."""
        if self.sparse is None or not self._selectors(module):
            return False
        try:
            for training in (False, True):
                seen = []
                for seed in range(3):
                    torch.default_generator.manual_seed(0)
                    score = draw("normal", (B, N), seed).float()
                    seen.append(self._with_score(module.train(training), inputs(B, N, C, 0), score))
                others = [torch.equal(seen[0][i], seen[1][i]) for i in range(1, len(MODALITIES))]
                if not all(others) or all(torch.equal(seen[0][0], part[0]) for part in seen[1:]):
                    return False
        except Exception:
            return False
        return True

    def _build(self, dim: int, num_tokens: int, tau: float, sparse_ratio: float, aggr_ratio: float) -> nn.Module:
        return self.recognised.make(
            embed_dim=dim,
            num_patches=num_tokens,
            sparse_ratio=sparse_ratio,
            aggr_ratio=aggr_ratio,
            use_gumbel=True,
            gumbel_tau=tau,
        )

    def _find_ratios(self, num_tokens: int, keep: int, slots: int) -> tuple[float, float]:
        """The shares at which K and M are right, however the module rounds."""
        for kept in (keep, keep - 0.5, min(float(num_tokens), keep + 0.5)):
            for pooled in (slots + 0.5, slots, slots - 0.5):
                ratios = (kept / num_tokens, pooled / kept)
                if kept > 0 and self._sizes(num_tokens, *ratios) in ((keep, slots + 1), (None, slots + 1)):
                    return ratios
        raise Unsupported(f"no ratios were found at which it keeps {keep} of {num_tokens} and pools {slots}")

    def _sizes(self, num_tokens: int, sparse_ratio: float, aggr_ratio: float) -> tuple[int | None, int] | None:
        """K, if it can be told, and the number of pooled tokens of each modality."""
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers of no size, where a share was too small
            try:
                module = self._build(C, num_tokens, 1.0, sparse_ratio, aggr_ratio)
                kept: list[int] = []
                if self.sparse is not None:
                    for selector in self._selectors(module):
                        selector.register_forward_hook(
                            lambda _, __, returned: kept.append(
                                next(p for _, p in tensors(returned, "") if p.ndim == 3).shape[1]
                            )
                        )
                listed = [part for _, part in tensors(module(*inputs(1, num_tokens, C, 0)), "")]
            except Exception:
                return None
        pooled = _pooled(listed, C)
        return (kept[0] if kept else None, pooled[0].shape[1]) if pooled else None


class Modalities(nn.Module):
    """As the contract has it: by name in, by name out."""

    def __init__(self, container: Container, module: nn.Module):
        super().__init__()
        self.module = module
        self._run = container.run

    def forward(self, tokens: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{name: B N C}, {name: B C}. Returns {name: B M+1 C}."""
        given = [part[name] for part in (tokens, features) for name in MODALITIES]
        return dict(zip(MODALITIES, self._run(self.module, given), strict=True))


class Pipeline(nn.Module):
    """The first modality's own wiring, its score given from outside."""

    def __init__(self, container: Container, module: nn.Module, slots: int):
        super().__init__()
        self.module, self.slots = module, slots
        self._pool = container.pool

    def forward(self, tokens: Tensor, score: Tensor) -> Tensor:
        """tokens: B N C; score: B N. Returns B M C."""
        return self._pool(self.module, tokens, score, self.slots)


def inputs(batch: int, num_tokens: int, dim: int, seed: int) -> list[Tensor]:
    """Tokens, then global features, of three modalities; every sample of a batch has the same."""
    tokens = [draw("normal", (1, num_tokens, dim), seed + i).float().expand(batch, -1, -1) for i in range(3)]
    features = [draw("normal", (1, dim), seed + 10 + i).float().expand(batch, -1) for i in range(3)]
    return tokens + features


def _pooled(listed: list[Tensor], dim: int) -> list[Tensor]:
    return [part for part in listed if part.ndim == 3 and part.shape[-1] == dim and part.is_floating_point()]
