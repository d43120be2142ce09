"""A pipeline read from outside: what its gradient says of the weights, the soft mask and the gain."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sdtps_ref.properties.kit import values
from sdtps_ref.properties.kit.probe import Probe
from sdtps_ref.properties.signals import fingerprint, plot_data
from sdtps_ref.properties.signals.aggregation_analysis import refuse_no_mean

STRUCTURE = 1e-4  # a masked softmax is explained to 1e-11 (1e-5 if computed in float32); another, to 1e-2 or worse
COMBINATIONS = 4  # random combinations of outputs that are differentiated; three determine the soft mask


@dataclass(frozen=True)
class Reading:
    """One sample of the pipeline, read from outside through random combinations of its outputs."""

    products: fingerprint.Array  # count N    d (combination) / d score
    lever: fingerprint.Array  # M*C   N    d pooled / d D at gain one, zero where dropped
    combinations: fingerprint.Array  # count M*C
    mask: fingerprint.SoftMask

    def closed_form(self, probe: Probe, b: int, cotangent: fingerprint.Array) -> fingerprint.Array:
        """The gradient that the recovered soft mask owes; where none fits, that of the noiseless one. N."""
        owed = cotangent @ self.lever
        if self.mask.residual < STRUCTURE:
            return fingerprint.closed_form(owed[None], self.mask.probabilities, self.mask.rate)[0]
        noiseless = fingerprint.softmax(probe.score[b].detach().cpu().numpy() / probe.case.tau)
        plain = fingerprint.closed_form(self.combinations @ self.lever, noiseless, 1.0)
        rate = (self.products * plain).sum() / max((plain * plain).sum(), 1e-300)
        return fingerprint.closed_form(owed[None], noiseless, rate)[0]


def read_pipeline(probe: Probe) -> tuple[Tensor, list[Reading]]:
    """The pooled tokens and, for each sample, what their Jacobian says."""
    case = probe.case
    pooled = probe.pool()
    combinations = values.draw("normal", (COMBINATIONS, *pooled.shape), case.seed).to(pooled)
    products = probe.products(pooled, probe.score, combinations).cpu().numpy()  # B count N
    flat = combinations.reshape(COMBINATIONS, case.batch, -1).cpu().numpy()
    kept = probe.score.detach().topk(case.keep).indices.cpu().numpy()
    readings = []
    for b in range(case.batch):
        tokens = probe.tokens[b].cpu().numpy()[kept[b]]  # K C
        out = pooled[b].detach().cpu().numpy()  # M C
        weights, unexplained = fingerprint.weights(out, tokens)
        if not unexplained < STRUCTURE:
            refuse_no_mean(probe, "pipeline(tokens, score)", b, pooled, probe.tokens, kept[b].tolist(), STRUCTURE)
        lever = np.zeros((case.slots * case.dim, case.num_tokens))
        lever[:, kept[b]] = fingerprint.pooling_lever(weights, tokens, out)
        mask = fingerprint.soft_mask(products[b], flat[:, b] @ lever)
        readings.append(Reading(products[b], lever, flat[:, b], mask))
    return pooled, readings


def seen_and_owed(probe: Probe, pooled: Tensor, readings: list[Reading]) -> tuple[Tensor, fingerprint.Array]:
    """The score's gradient under a random cotangent, as found and as the readings owe it: B N each."""
    cotangent = probe.random(pooled)
    seen = probe.gradient(pooled, probe.score, cotangent)
    flat = cotangent.reshape(probe.case.batch, -1).cpu().numpy()
    owed = np.stack([reading.closed_form(probe, b, flat[b]) for b, reading in enumerate(readings)])
    gain = gain_of(probe, readings)
    with np.errstate(all="ignore"):  # a gain that is no number is the reader's to see
        probe.evidence["gradient"] = plot_data.gradient(seen, owed / gain, gain, str(probe.case))
    return seen, owed


def gain_of(probe: Probe, readings: list[Reading]) -> float:
    """How many times the well-conditioned gradient reaches the score: the median of the samples'."""
    return float(np.median([reading.mask.rate for reading in readings])) * probe.case.tau
