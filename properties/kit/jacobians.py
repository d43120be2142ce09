"""What D's Jacobian says about the soft mask and the noise behind it.

Torch only and self-contained, like `values`: a failure's script carries these functions' own source text.
"""

import torch
from torch import Tensor

from sdtps_ref.properties.kit.values import gradient


def jacobian(output: Tensor, source: Tensor) -> Tensor:
    """d output / d source, an entry of a sample's output a row: B, entries, then the source's own axes.

    One vector product gives a row for every sample at once, which is right where samples do not depend
    on each other.
    """
    entries = output[0].numel()
    one_hots = torch.eye(entries, dtype=output.dtype, device=output.device).view(entries, 1, *output.shape[1:])
    return torch.stack([gradient(output, source, one_hot.expand_as(output)) for one_hot in one_hots], dim=1)


def products(output: Tensor, source: Tensor, cotangents: Tensor) -> Tensor:
    """A vector-Jacobian product for each of the `cotangents` (count, then the output's axes): B, count, ..."""
    return torch.stack([gradient(output, source, cotangent) for cotangent in cotangents], dim=1)


def softmax_behind(jacobian: Tensor) -> tuple[Tensor, Tensor]:
    """log p (B N) and g (B) of a Jacobian g (diag(p) - p p'), B N N with N of three or more; nonsense for another.

    Read off the entries -g p_e p_n beside the diagonal, which lose nothing to cancellation: their logarithms
    are sums, and the sums over a row give back the terms.
    """
    tokens = jacobian.shape[-1]
    diagonal = torch.eye(tokens, dtype=torch.bool, device=jacobian.device)
    logs = (-jacobian.double()).masked_fill(diagonal, 1.0).clamp(min=1e-300).log()
    sums = logs.sum(-1)
    log_p = ((sums - sums.mean(-1, keepdim=True)) / (tokens - 2)).log_softmax(-1)
    rate = (sums.mean(-1) / (tokens - 1) - 2 * log_p.mean(-1)).exp()
    return log_p, rate


def softmax_jacobian(log_p: Tensor, rate: Tensor) -> Tensor:
    """The Jacobian that `softmax_behind` reads backwards: B N N."""
    p = log_p.exp()
    return rate[:, None, None] * (torch.diag_embed(p) - p[:, :, None] * p[:, None, :])


def nearest_softmax_jacobian(jacobian: Tensor) -> Tensor:
    """What `jacobian` (B N N) is if it is a softmax's; something else if not."""
    return softmax_jacobian(*softmax_behind(jacobian))


def temperature_behind(jacobian: Tensor, moved_jacobian: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """tau, and the factor on the soft mask, from the Jacobians at a score and at score + step (B N).

    With the same noise behind both, log p moves by step / tau; g is factor / tau. Where the noise does not
    repeat, nothing tells a factor from a temperature, and the factor is taken to be one.
    """
    log_p, rate = softmax_behind(jacobian)
    change = softmax_behind(moved_jacobian)[0] - log_p
    change = change - change.mean(-1, keepdim=True)
    step = step.detach().double() - step.detach().double().mean(-1, keepdim=True)
    slope = (step * change).sum() / (step**2).sum()
    g = rate.median()
    if (change - slope * step).abs().amax() > 1e-3 * change.abs().amax():
        return 1 / g, torch.ones_like(g)
    return 1 / slope, g / slope


def first_rows(decision: Tensor, score: Tensor) -> Tensor:
    """The first two rows of the Jacobian, which hold all of p: B 2 N."""
    rows = []
    for entry in (0, 1):
        one_hot = torch.zeros_like(decision)
        one_hot[:, entry] = 1.0
        rows.append(gradient(decision, score, one_hot))
    return torch.stack(rows, dim=1)


def softmax_of_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """log p (B N) and g (B) from the first two rows of a Jacobian g (diag(p) - p p'), B 2 N; N of three or more.

    From the entries beside the diagonal, which nothing cancels in; NaN in rows where a p is so small that half of its
    digits may be lost, if it was taken in float32.
    """
    rows = rows.double()
    log_p = (-rows[:, 0]).log()
    log_p[:, 0] = log_p[:, 2] + (rows[:, 1, 0] / rows[:, 1, 2]).log()
    shift = log_p.logsumexp(-1, keepdim=True)
    log_p = log_p - shift
    unreadable = ~(log_p.amin(-1, keepdim=True) + log_p[:, :2].amin(-1, keepdim=True) > -75)  # float32 ends at e^-87
    log_p = log_p.masked_fill(unreadable, torch.nan)
    return log_p, (shift.squeeze(-1) - log_p[:, 0]).exp()


def softmax_product(log_p: Tensor, rate: Tensor, cotangent: Tensor) -> Tensor:
    """g p_n (c_n - p . c): what the Jacobian of a softmax makes of a cotangent, B N."""
    p, c = log_p.exp(), cotangent.double()
    return rate.unsqueeze(-1) * p * (c - (p * c).sum(-1, keepdim=True))


def noise_behind(decision: Tensor, score: Tensor, tau: float) -> Tensor:
    """tau log p - score: the noise that was added, each row less its own mean, which softmax forgets. B N.

    From -g p_0 p_n for the tokens after the first, and -g p_1 p_0 against -g p_1 p_2 for the first. N of
    three or more; NaN in rows where a p is zero.
    """
    rows = first_rows(decision, score).double()
    log_p = (-rows[:, 0]).log()
    log_p[:, 0] = log_p[:, 2] + (rows[:, 1, 0] / rows[:, 1, 2]).log()
    noise = tau * log_p - score.detach().double()
    return noise - noise.mean(-1, keepdim=True)


def gumbel_uniforms(noise: Tensor) -> Tensor:
    """B N-1 numbers that are independent and uniform on (0, 1) exactly when the noise is Gumbel(0, 1); exact for any N.

    exp(-noise) is then a row of exponential variables times an unknown constant, and each one's share of
    itself and those after it is Beta(1, how many come after), whatever the constant. High noise gives numbers
    near 1. Rows that are not finite are left out.
    """
    waits = (-noise[noise.isfinite().all(-1)]).exp()
    rest = waits.flip(-1).cumsum(-1).flip(-1)
    after = torch.arange(noise.shape[-1] - 1, 0, -1, dtype=noise.dtype, device=noise.device)
    return (rest[:, 1:] / rest[:, :-1]) ** after


def distance_from_uniform(uniforms: Tensor) -> Tensor:
    """The Kolmogorov-Smirnov distance of a sample from the uniform distribution on (0, 1)."""
    ordered = uniforms.flatten().sort().values
    steps = torch.arange(len(ordered) + 1, dtype=ordered.dtype, device=ordered.device) / len(ordered)
    return torch.maximum((steps[1:] - ordered).amax(), (ordered - steps[:-1]).amax())


def rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    """Spearman's correlation of each row with the same row of the other, averaged over rows. Both B N."""
    ranks = [values.argsort(-1).argsort(-1).double() - (values.shape[-1] - 1) / 2 for values in (one, other)]
    return (ranks[0] * ranks[1]).sum(-1).mean() / (ranks[0] ** 2).sum(-1).mean()


def repeated_row(noise: Tensor, tolerance: float) -> tuple[int, int] | None:
    """Two rows of the noise (B N) that are the same to within `tolerance`, if there are any."""
    order = noise[:, 0].argsort()
    same = ((noise[order][1:] - noise[order][:-1]).abs().amax(-1) < tolerance).nonzero().flatten()
    if not len(same):
        return None
    alike = ((noise - noise[order[same[0]]]).abs().amax(-1) < tolerance).nonzero().flatten()
    return int(alike[0]), int(alike[1])


def off_all_means(pooled: Tensor, tokens: Tensor) -> Tensor:
    """How far `pooled` (M C) is from any W @ tokens (K C) with rows of W that sum to one, over its largest entry."""
    tokens = torch.cat([tokens, torch.ones_like(tokens[:, :1])], dim=1).double()
    pooled = torch.cat([pooled, torch.ones_like(pooled[:, :1])], dim=1).double()
    nearest = pooled @ torch.linalg.pinv(tokens) @ tokens
    return (nearest - pooled).abs().amax() / pooled.abs().amax()
