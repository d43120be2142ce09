"""The least work a stage can be: FLOPs and bytes by formula, and the time in which a machine could do it.

Axes as everywhere (B, N, K, C, M); H = int(0.2 C) is the hidden width of the aggregation, Q = C / 4 that of the score
predictor, e the bytes of an element, G = 3 the modalities. FLOPs are those of matrix products, two a multiply-add, as
torch.utils.flop_counter counts them (a test holds these formulas to it); what is done element by element is bound by
bytes. Bytes are the least that any implementation moves: every input that is needed is read once and every result
written once, whatever lies between is kept in registers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sdtps_ref.benchmarks.workloads.sizes import Size

MODALITIES = 3


@dataclass(frozen=True)
class Work:
    """What there is to do at least: FLOPs of matrix products, and elements read or written."""

    flops: int
    elements: int

    def bytes(self, itemsize: int) -> int:
        """Least bytes to and from memory, for elements of that many bytes."""
        return itemsize * self.elements


def hidden(size: Size) -> int:
    """H of the aggregation."""
    return max(1, int(0.2 * size.C))


def aggregation_flops(size: Size) -> int:
    """2 B K (C H + H M + M C) forward.

    Three products over the B K kept tokens: C to H, H to M, and the weights B M K with the tokens B K C. The
    backward pass is twice that, a product for either factor of each.
    """
    H = hidden(size)
    return 2 * size.B * size.K * (size.C * H + H * size.M + size.M * size.C)


def extra_token_flops(size: Size) -> int:
    """2 B (N - K) C forward: one row of weights with the dropped tokens."""
    return 2 * size.B * (size.N - size.K) * size.C


def predictor_flops(size: Size) -> int:
    """2 B N (C Q + Q) forward: equation 1, C to Q and Q to 1 for every token."""
    Q = max(1, size.C // 4)
    return 2 * size.B * size.N * (size.C * Q + Q)


def aggregation_parameters(size: Size) -> int:
    """2 C of the norm, C H + H and H M + M of the layers, and the scale."""
    H = hidden(size)
    return 2 * size.C + (size.C * H + H) + (H * size.M + size.M) + 1


def predictor_parameters(size: Size) -> int:
    """C Q + Q and Q + 1."""
    Q = max(1, size.C // 4)
    return (size.C * Q + Q) + (Q + 1)


@dataclass(frozen=True)
class Traffic:
    """Elements, by what moves them. `kept`: read by the forward pass and needed again by the backward one."""

    forward_reads: int
    kept: int
    outputs: int
    gradients: int

    def elements(self, mode: str) -> int:
        """forward: reads and outputs. backward: what is needed again, a cotangent for each output, and gradients.

        Both in a row need what is kept only once, if caches were large enough: the least of both, less `kept`.
        """
        forward = self.forward_reads + self.outputs
        backward = self.kept + self.outputs + self.gradients
        return {"forward": forward, "backward": backward, "forward+backward": forward + backward - self.kept}[mode]


def selection(size: Size, extra: bool) -> tuple[int, Traffic]:
    """FLOPs 0, or those of the extra token where the selector returns one.

    Forward: scores B N and kept tokens B K C are read, V_s (B K C) and D (B N) written; with an extra token the
    dropped tokens are read too and B C is written (its gradient is not asked for). Backward: cotangents in the shapes
    of V_s and D in, gradients of tokens, B N C with zeros where nothing was kept, and of scores, B N, out.
    """
    B, N, K, C = size.B, size.N, size.K, size.C
    kept = Traffic(B * N + B * K * C, 0, B * K * C + B * N, B * N * C + B * N)
    if not extra:
        return 0, kept
    # The extra token is written but has no cotangent, so it counts with what is read.
    return extra_token_flops(size), Traffic(
        kept.forward_reads + B * (N - K) * C + B * C, kept.kept, kept.outputs, kept.gradients
    )


def aggregation(size: Size) -> tuple[int, Traffic]:
    """Forward: tokens B K C, D (B K) and the parameters P in, B M C out. Backward: tokens, P and B M C in;
    gradients of tokens, D and P out."""
    B, K, C, M = size.B, size.K, size.C, size.M
    P = aggregation_parameters(size)
    return aggregation_flops(size), Traffic(B * K * C + B * K + P, B * K * C + P, B * M * C, B * K * C + B * K + P)


def pipeline(size: Size) -> tuple[int, Traffic]:
    """Forward: scores B N, kept tokens B K C and P in, B M C out: about e (B K C + B M C) bytes.

    V_s need not be written, nor D: it changes nothing in the forward pass. Backward: kept tokens, P and B M C in;
    gradients of all tokens B N C, scores B N and P out.
    """
    B, N, K, C, M = size.B, size.N, size.K, size.C, size.M
    P = aggregation_parameters(size)
    return aggregation_flops(size), Traffic(B * N + B * K * C + P, B * K * C + P, B * M * C, B * N * C + B * N + P)


def multimodal(size: Size) -> tuple[int, Traffic]:
    """G times: the score of all tokens (equation 1; cosines are no matrix product), the aggregation, the extra token.

    Forward: all tokens B N C, the global feature B C and the parameters P of both networks in, B (M + 1) C out.
    Backward: the same with cotangents in, gradients of tokens, feature and P out.
    """
    B, N, C, M = size.B, size.N, size.C, size.M
    P = aggregation_parameters(size) + predictor_parameters(size)
    flops = aggregation_flops(size) + predictor_flops(size) + extra_token_flops(size)
    reads = B * N * C + B * C + P
    return MODALITIES * flops, Traffic(
        MODALITIES * reads, MODALITIES * reads, MODALITIES * B * (M + 1) * C, MODALITIES * reads
    )


_STAGES: dict[str, Callable[[Size], tuple[int, Traffic]]] = {
    "aggregation": aggregation,
    "pipeline": pipeline,
    "multimodal": multimodal,
}


def work(stage: str, mode: str, size: Size, *, extra: bool = False) -> Work:
    """The least work of a stage in a mode. extra: whether a selector returns an extra token."""
    flops, traffic = selection(size, extra) if stage == "selection" else _STAGES[stage](size)
    # A selection's backward pass has no product: the extra token's gradient is not asked for.
    times = {"forward": 1, "backward": 0 if stage == "selection" else 2}
    times["forward+backward"] = times["forward"] + times["backward"]
    return Work(times[mode] * flops, traffic.elements(mode))
