"""What a black box must have computed, read off its Jacobians: soft mask, temperature, weights, gain.

The one identity behind it: a softmax p reached through any linear lever H has the Jacobian
F[:, n] = g p_n (H[:, n] - h) with h = H p. For the decision H is the identity and g = 1 / tau; for the whole
pipeline H[m c, k] = W[m, k] (token[k, c] - output[m, c]) and g = gain / tau.

Float64 on the CPU, torch only and self-contained: a failure's script carries these functions' own source text.
"""

import torch
from torch import Tensor


def soft_mask(jacobian: Tensor, lever: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Recover p (N) and g from one sample's Jacobian by linear least squares, with what they leave unexplained.

    jacobian: entries x N. lever: entries x N, zero at dropped tokens. The entries may be outputs, or a handful of
    random combinations of them. Needs three tokens or more that the lever tells apart (with two, every column is
    parallel and any p explains them). Unexplained is the largest entry of the Jacobian that p and g do not explain,
    over its largest entry (1e-12 for a softmax, 0.1 and more for anything else).
    """
    jacobian, lever = jacobian.detach().double().cpu(), lever.detach().double().cpu()
    tokens, largest = jacobian.shape[1], jacobian.abs().amax()
    nothing = jacobian.new_full((tokens,), torch.nan), largest, largest.new_tensor(torch.inf)
    if not torch.isfinite(largest) or largest == 0:
        return nothing
    # F[e, n] u_n + h_e = H[e, n] with u_n = 1 / (g p_n). The mean over n takes h out; the normal equations
    # of what is left are diag(F'F) - F'F / N, and with columns of length one they are well conditioned.
    scaled = jacobian / largest
    lengths = scaled.norm(dim=0)
    if not lengths.all():
        return nothing
    unit = scaled / lengths
    normal = torch.eye(tokens).double() - unit.T @ unit / tokens
    target = (unit * (lever - lever.mean(dim=1, keepdim=True))).sum(dim=0)
    rates = lengths / torch.linalg.lstsq(normal, target.unsqueeze(1), driver="gelsd").solution.squeeze(1)
    probabilities = rates / rates.sum()
    unexplained = (scaled - closed_form(lever, probabilities, rates.sum())).abs().amax()
    return probabilities, rates.sum() * largest, unexplained.nan_to_num(torch.inf)


def closed_form(lever: Tensor, probabilities: Tensor, rate: Tensor | float) -> Tensor:
    """The Jacobian g p_n (H[:, n] - H p), entries x N, that `soft_mask` reads backwards."""
    return rate * probabilities * (lever - (lever @ probabilities).unsqueeze(1))


def weights(pooled: Tensor, tokens: Tensor) -> Tensor:
    """The W (M K) with pooled (M C) = W @ tokens (K C) and rows that sum to one.

    Unique when C + 1 >= K and the tokens are in general position.
    """
    pooled, tokens = pooled.detach().double().cpu(), tokens.detach().double().cpu()
    with_sum = torch.cat([tokens, torch.ones_like(tokens[:, :1])], dim=1)  # K C+1
    target = torch.cat([pooled, torch.ones_like(pooled[:, :1])], dim=1)  # M C+1
    return torch.linalg.lstsq(with_sum.T, target.T, driver="gelsd").solution.T


def pooling_lever(pooled: Tensor, tokens: Tensor) -> Tensor:
    """H[m c, k] = W[m, k] (token[k, c] - pooled[m, c]): how the pooled tokens move with D at D = 1, gain one."""
    away = tokens.detach().double().cpu().T.unsqueeze(0) - pooled.detach().double().cpu().unsqueeze(2)  # M C K
    return (weights(pooled, tokens).unsqueeze(1) * away).flatten(0, 1)


def lever_of_all(pooled: Tensor, tokens: Tensor, kept: Tensor) -> Tensor:
    """`pooling_lever` over all N tokens, of which those at `kept` were pooled; zero for the others."""
    found = torch.zeros(pooled.numel(), len(tokens), dtype=torch.float64)
    found[:, kept.cpu()] = pooling_lever(pooled, tokens[kept])
    return found


def owed_to_decision(pooled: Tensor, tokens: Tensor, directions: Tensor) -> Tensor:
    """What D at gain one owes along `directions` (B M C), the weights read off the pooled tokens: B M K."""
    levers = torch.stack([pooling_lever(out, among) for out, among in zip(pooled, tokens, strict=True)])
    levers = levers.unflatten(1, pooled.shape[1:])  # B M C K
    return torch.einsum("bmc,bmck->bmk", directions.detach().double().cpu(), levers).to(pooled.device)


def owed_to_score(products: Tensor, lever: Tensor, along: Tensor, scaled_score: Tensor, explained: float) -> Tensor:
    """The gradient along another row of the lever that the recovered soft mask owes: N.

    Where no soft mask fits, that of the noiseless one. products, lever: as for `soft_mask`; along: N; scaled_score:
    N, score / tau; explained: what a soft mask leaves unexplained at most.
    """
    probabilities, rate, unexplained = soft_mask(products, lever)
    if not unexplained < explained:
        probabilities = scaled_score.detach().double().cpu().softmax(-1)
        plain, products = closed_form(lever, probabilities, 1.0), products.detach().double().cpu()
        rate = (products * plain).sum() / (plain * plain).sum().clamp_min(1e-300)
    return closed_form(along.unsqueeze(0), probabilities, rate)[0]
