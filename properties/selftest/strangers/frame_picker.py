"""Functions that pick the frames of a video which answer a question and blend them into a few summary frames."""

import torch
from torch import einsum


def frame_scores(frames, question, w_frame, w_bilinear):
    """Frames b t d and a question b d: one number a frame."""
    plain = einsum("b t d, d -> b t", frames, w_frame)
    asked = einsum("b t d, d e, b e -> b t", frames, w_bilinear, question)
    return plain + asked / frames.shape[-1] ** 0.5


def pick(scores, count, tau=1.0, noisy=True):
    """The indices of the best frames, and a mask that is one there and differentiable."""
    indices = scores.topk(count, dim=-1).indices
    logits = scores
    if noisy:
        uniform = torch.rand_like(scores).clamp(min=torch.finfo(scores.dtype).tiny)
        logits = scores - torch.log(-torch.log(uniform))
    soft = (logits / tau).softmax(dim=-1)
    one_hot = torch.nn.functional.one_hot(indices, scores.shape[-1]).to(soft.dtype)  # b k t
    hard = one_hot.sum(dim=1)
    return one_hot, hard + (soft - soft.detach())


def summarise(frames, question, params, count=6, tau=1.0, noisy=True):
    """Returns b s d, with as many summary frames s as `params["slots"]` has rows."""
    scores = frame_scores(frames, question, params["frame"], params["bilinear"])
    one_hot, mask = pick(scores, count, tau, noisy)
    kept = einsum("b k t, b t d -> b k d", one_hot, frames)
    kept_mask = einsum("b k t, b t -> b k", one_hot, mask)
    logits = einsum("s d, b k d -> b s k", params["slots"], kept) + kept_mask.log()[:, None]
    return einsum("b s k, b k d -> b s d", logits.softmax(dim=-1), kept)


def example():
    """Two clips of twenty frames with a question each."""
    width = 48
    generator = torch.Generator().manual_seed(0)
    params = {
        "frame": torch.randn(width, generator=generator) / width**0.5,
        "bilinear": torch.randn(width, width, generator=generator) / width**0.5,
        "slots": torch.randn(4, width, generator=generator) / width**0.5,
    }
    for parameter in params.values():
        parameter.requires_grad_()
    frames = torch.randn(2, 20, width, generator=generator)
    question = torch.randn(2, width, generator=generator)

    def forward():
        return summarise(frames, question, params)

    return forward
