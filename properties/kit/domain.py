"""The domain of a law: the cases on which it makes its claim, as corners and as a hypothesis strategy."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from sdtps_ref.properties.kit.case import DTYPES, LAYOUTS, SCORE_KINDS, TOKEN_KINDS, Case

SEED_STEP = 1000  # cases and cotangents count up from their seed; the next run's values lie beyond all of them
TILE_EDGES = (31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)
TAUS = (1.0, 0.5, 2.0, 0.1, 5.0, 0.05, 20.0)
# Multiples of 8: published code takes int(0.2 * C) hidden units, C // 4, or C / heads, and a layer of none of them
# is nobody's mistake.
DIMS = (8, 16, 24)

# Tried in every run, in this order, before anything is drawn.
CORNERS = (
    Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2, scores="distinct"),
    Case(batch=2, num_tokens=6, keep=3, dim=8, slots=2, training=False, scores="distinct"),
    Case(batch=4, num_tokens=128, keep=64, dim=512, slots=25),  # the published sizes
    Case(batch=3, num_tokens=1, keep=1, dim=8, slots=2),
    Case(batch=1, num_tokens=7, keep=1, dim=8, slots=3),
    Case(batch=5, num_tokens=5, keep=5, dim=8, slots=2, tau=0.5),
    Case(batch=2, num_tokens=25, keep=7, dim=8, slots=7, scores="ties"),  # ceil(25 * (7 / 25)) is 8
    Case(batch=2, num_tokens=22, keep=15, dim=8, slots=2, scores="distinct"),  # int(22 * (15 / 22)) is 14
    Case(batch=2, num_tokens=33, keep=32, dim=8, slots=4, scores="constant"),
    Case(batch=3, num_tokens=65, keep=32, dim=8, slots=4, scores="huge", layout="transposed"),
    Case(batch=2, num_tokens=129, keep=40, dim=8, slots=5, tau=2.0, layout="sliced"),
    Case(batch=3, num_tokens=12, keep=6, dim=8, slots=3, dtype="float64", layout="expanded", training=False),
    Case(batch=2, num_tokens=32, keep=20, dim=8, slots=5, dtype="bfloat16"),
    Case(batch=2, num_tokens=64, keep=31, dim=8, slots=3, dtype="float16", training=False),
    Case(batch=2, num_tokens=257, keep=100, dim=8, slots=9, scores="tiny"),
    Case(batch=66, num_tokens=13, keep=6, dim=8, slots=3, tau=20.0, scores="far", tokens="zeros"),
    Case(batch=2, num_tokens=31, keep=11, dim=8, slots=3, tau=0.05, dtype="float64", scores="close"),
    Case(batch=2, num_tokens=17, keep=9, dim=8, slots=2, scores="subnormal", tokens="outliers"),
    Case(batch=2, num_tokens=300, keep=100, dim=8, slots=3, dtype="bfloat16"),  # which counts to 256
)


@dataclass(frozen=True)
class Domain:
    """Which cases a law speaks of. The defaults are all of them; a law narrows what it must.

    min_batch, min_tokens, min_keep, min_dropped: least B, N, K and N - K. wide: C >= K + 1, so that the weights can
    be read off the pooled tokens. max_tokens: most N of a corner; draw_tokens: of a drawn case (what
    takes a Jacobian for each is kept small). fixed: for a law too heavy to draw cases for (it compiles,
    or takes statistics): these cases and no others; they run on the device that is asked for, unless
    they name one themselves.
    """

    dtypes: tuple[str, ...] = DTYPES
    scores: tuple[str, ...] = SCORE_KINDS
    tokens: tuple[str, ...] = TOKEN_KINDS
    layouts: tuple[str, ...] = LAYOUTS
    modes: tuple[bool, ...] = (True, False)
    taus: tuple[float, ...] = TAUS
    min_batch: int = 1
    min_tokens: int = 1
    min_keep: int = 1
    min_dropped: int = 0
    max_tokens: int = 300
    draw_tokens: int = 300
    wide: bool = False
    fixed: tuple[Case, ...] = ()

    def clip(self, case: Case) -> Case:
        """The nearest case inside this domain."""
        batch = max(case.batch, self.min_batch)
        least = max(self.min_tokens, self.min_keep + self.min_dropped)
        num_tokens = min(max(case.num_tokens, least), self.max_tokens)
        keep = min(max(case.keep, self.min_keep), num_tokens - self.min_dropped)
        clipped = replace(
            case,
            batch=batch,
            num_tokens=num_tokens,
            keep=keep,
            dim=max(case.dim, keep // 8 * 8 + 8) if self.wide else case.dim,
            tau=_nearest(case.tau, self.taus),
            dtype=_nearest(case.dtype, self.dtypes),
            training=_nearest(case.training, self.modes),
            layout=_nearest(case.layout, self.layouts),
            scores=_nearest(case.scores, self.scores),
            tokens=_nearest(case.tokens, self.tokens),
            drawn=() if (batch, num_tokens) != (case.batch, case.num_tokens) else case.drawn,
        )
        return representable(clipped)

    def corners(self, device: str = "cpu", seed: int = 0) -> list[Case]:
        """CORNERS, moved into this domain, each once; or the fixed cases. Another `seed` gives other values."""
        cases = self.fixed or tuple(self.clip(case) for case in CORNERS)
        moved = (
            replace(case, device=device if case.device == "cpu" else case.device, seed=case.seed + SEED_STEP * seed)
            for case in cases
        )
        return list(dict.fromkeys(moved))

    def admitted(self, case: Case, device: str = "cpu") -> Case:
        """A stored case (see `Case.portable`) on `device`, moved into this domain: it may be of a time when the law
        spoke of other cases. Fixed cases have no neighbourhood to move into, so there it stays what it is."""
        placed = replace(case, device=device if case.device == "cpu" else case.device)
        return placed if self.fixed else self.clip(placed)

    @st.composite
    @staticmethod
    def _cases(draw: st.DrawFn, domain: "Domain", device: str, per_call: int) -> Case:
        small = st.integers(1, 12)
        num_tokens = draw(small | st.sampled_from(TILE_EDGES) if domain.draw_tokens > 12 else small)
        batch = draw(st.integers(1, 4))
        case = Case(
            batch=batch,
            num_tokens=num_tokens,
            keep=draw(st.integers(1, num_tokens)),
            dim=draw(st.sampled_from(DIMS)),
            slots=draw(st.integers(1, 6)),
            tau=draw(st.sampled_from(domain.taus)),
            dtype=draw(st.sampled_from(domain.dtypes)),
            device=device,
            training=draw(st.sampled_from(domain.modes)),
            layout=draw(st.sampled_from(domain.layouts)),
            scores=draw(st.sampled_from(domain.scores)),
            tokens=draw(st.sampled_from(domain.tokens)),
            seed=draw(st.integers(0, 2**16)),
        )
        case = domain.clip(case)
        # Where values carry the meaning, hypothesis draws them one by one and shrinks them; only
        # while they are few, and only where the law speaks of any scores at all.
        if domain.scores == SCORE_KINDS and batch * case.num_tokens <= 8 and draw(st.booleans()):
            quarter = st.integers(-40, 40).map(lambda n: n / 4)  # exact in every dtype
            elements = st.lists(quarter, min_size=batch * case.num_tokens, max_size=batch * case.num_tokens)
            return replace(case, drawn=tuple(draw(elements)))
        if per_call == 1 or case.layout == "expanded":  # which has one sample's values, whatever is packed
            return case
        others = [
            (draw(st.sampled_from(domain.scores)), draw(st.sampled_from(domain.tokens)), draw(st.integers(0, 2**16)))
            for _ in range(per_call - 1)
        ]
        own = (case.scores, case.tokens, case.seed)
        return representable(replace(case, batch=case.batch * per_call, packed=(own, *others)))

    def strategy(self, device: str = "cpu", per_call: int = 1) -> st.SearchStrategy[Case]:
        """Cases of this domain, most of them with `per_call` examples; shrinks towards few, small and plain."""
        return self._cases(self, device, per_call)


def representable(case: Case) -> Case:
    """The case with score / tau a number in its dtype, or no implementation can be right: float16 ends at 65504."""
    overflows = case.dtype == "float16" and any(example.scores == "huge" for example in case.examples)
    return replace(case, tau=max(case.tau, 1.0)) if overflows else case


def _nearest(value, accepted):  # type: ignore[no-untyped-def]
    return value if value in accepted else accepted[0]
