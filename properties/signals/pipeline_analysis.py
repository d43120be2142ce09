"""A pipeline read from outside: what its gradient says of the weights, the soft mask and the gain."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import fingerprint, plot_data
from sdtps_ref.properties.signals.aggregation_analysis import expect_means

STRUCTURE = 1e-4  # a masked softmax is explained to 1e-11 (1e-5 if computed in float32); another, to 1e-2 or worse
COMBINATIONS = 4  # random combinations of outputs that are differentiated; three determine the soft mask


@dataclass(frozen=True)
class Reading:
    """One sample of the pipeline, read from outside through random combinations of its outputs."""

    products: Tensor  # count N    d (combination) / d score
    lever: Tensor  # M*C   N    d pooled / d D at gain one, zero where dropped
    combined: Tensor  # count N    the lever's combinations
    probabilities: Tensor  # N      the soft mask, as recovered
    rate: Tensor  # the Jacobian is so many times that of a softmax at tau = 1 and gain 1
    unexplained: Tensor  # of the products, over their largest

    @property
    def saturated(self) -> bool:
        """One token takes nearly all: the Jacobian is what rounding left of p (1 - p), if p was found in float32."""
        return bool(self.probabilities.min() >= 0 and 0.99 < self.probabilities.max() <= 1)


def read_pipeline(probe: Probe) -> tuple[Tensor, list[Reading]]:
    """The pooled tokens and, for each sample, what their Jacobian says."""
    case = probe.case
    pooled = probe.pool()
    combinations = probe.random(pooled.new_zeros(COMBINATIONS, *pooled.shape), "combinations", seed=-7)
    products = probe.products(pooled, probe.score, combinations)  # B count N
    kept = probe.score.detach().topk(case.keep).indices
    readings = []
    for b in range(case.batch):
        tokens, out = probe.tokens[b].detach(), pooled[b].detach()
        expect_means(probe, "pipeline(tokens, score)", b, out, tokens[kept[b]])
        helpers = (fingerprint.weights, fingerprint.pooling_lever)
        lever = probe.define("lever", fingerprint.lever_of_all, out, tokens, kept[b], helpers=helpers)
        combined = combinations[:, b].flatten(1).double().cpu() @ lever
        mask = probe.define("mask", fingerprint.soft_mask, products[b], combined, helpers=(fingerprint.closed_form,))
        readings.append(Reading(products[b], lever, combined, *mask))
    return pooled, readings


def seen_and_owed(probe: Probe, pooled: Tensor, readings: list[Reading]) -> tuple[Tensor, Tensor]:
    """The score's gradient under a random cotangent, as found and as the readings owe it: B N each."""
    cotangent = probe.random(pooled)
    seen = probe.gradient(pooled, probe.score, cotangent)
    helpers = (fingerprint.soft_mask, fingerprint.closed_form)
    rows = []
    for b, reading in enumerate(readings):
        along = cotangent[b].flatten().double().cpu() @ reading.lever
        scaled = probe.score[b].detach() / probe.case.tau
        arguments = (reading.products, reading.combined, along, scaled, STRUCTURE)
        rows.append(probe.define("owed", fingerprint.owed_to_score, *arguments, helpers=helpers))
    owed = torch.stack(rows).to(seen)
    gain = gain_of(probe, readings)
    probe.evidence["gradient"] = plot_data.gradient(seen, owed / gain, float(gain), str(probe.case))
    return seen, owed


def gain_of(probe: Probe, readings: list[Reading]) -> Tensor:
    """How many times the well-conditioned gradient reaches the score: the median of the samples'."""
    return torch.stack([reading.rate for reading in readings]).quantile(0.5) * probe.case.tau
