"""A published MultiModalSDTPS: as modalities, as a model, and, the score of one modality replaced, as a pipeline."""

import warnings

import torch
from torch import nn

from sdtps_ref.properties.kit.outcomes import Unsupported
from sdtps_ref.properties.kit.values import draw
from sdtps_ref.properties.signals.model import tensors
from sdtps_ref.properties.targets.adapters.signatures import MODALITIES, Recognised
from sdtps_ref.properties.targets.adapters.token_sparse import Sparse
from sdtps_ref.properties.targets.adapters.wrappers import Modalities, Pipeline, modal_inputs, pooled

B, N, K, C, SLOTS, TAU = 2, 12, 6, 32, 3, 0.7


class Container:
    """What an adapter knows of one MultiModalSDTPS class, found out on a small instance.

    ratios: the shares that were found, by N, K and M.
    """

    def __init__(self, recognised: Recognised, sparse: Sparse | None):
        self.recognised = recognised
        self.sparse = sparse if sparse is not None and sparse.can_select else None
        self.notes: list[str] = []
        self.ratios: dict[tuple[int, int, int], tuple[float, float]] = {}
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            module = self.make(C, N, K, SLOTS, TAU)
            self.pools = len(pooled(module(*modal_inputs(B, N, C, 0)), C, least=0)) == len(MODALITIES)
            if not self.pools:
                self.notes.append("does not return the pooled tokens of three modalities: modalities are not certified")
            self.wired = self.pools and self._score_arrives(module)
        if not self.wired:
            self.notes.append("the score of one modality could not be replaced: its wiring is not certified alone")

    def make(self, dim: int, num_tokens: int, keep: int, slots: int, tau: float) -> nn.Module:
        """An instance that keeps exactly `keep` of `num_tokens`, and pools them into `slots` and an extra token."""
        sizes = (num_tokens, keep, slots)
        if sizes not in self.ratios:
            self.ratios[sizes] = self._find_ratios(*sizes)
        sparse_ratio, aggr_ratio = self.ratios[sizes]
        return self._build(dim, num_tokens, tau, sparse_ratio, aggr_ratio)

    def modalities(self, module: nn.Module) -> Modalities:
        """The instance as the contract's modalities."""
        return Modalities(module, MODALITIES)

    def pipeline(self, module: nn.Module, slots: int) -> Pipeline:
        """The instance as the contract's pipeline, through its first modality."""
        assert self.sparse is not None
        return Pipeline(module, self.sparse.recognised.found.__name__, self.sparse.made_at(), slots)

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
                    pipeline = self.pipeline(module.train(training), SLOTS)
                    seen.append(pipeline.with_score(modal_inputs(B, N, C, 0), score))
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
            for made in (slots + 0.5, slots, slots - 0.5):
                ratios = (kept / num_tokens, made / kept)
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
                found = pooled(module(*modal_inputs(1, num_tokens, C, 0)), C, least=1)
            except Exception:
                return None
        return kept[0] if kept else None, found[0].shape[1]
