"""What is changed in the script, to make it sick in one way or healthy in another; and what trace should say."""

from __future__ import annotations

from dataclasses import dataclass

Edits = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sick:
    """A run with a fault. kind: the cause that trace should name; line: text of the line that it should name.

    remark: it merely differs, and is told without an accusation. first: the first step at which it can be seen.
    """

    name: str
    edits: Edits
    kind: str
    line: str
    remark: bool = False
    first: int = 0


@dataclass(frozen=True)
class Healthy:
    """A run in which nothing is wrong."""

    name: str
    edits: Edits


NO_PATH = "call.gradient_reaches_score"
SOFT = "soft = torch.softmax(noisy / self.tau, dim=-1)"
LOG = "logits = logits + d.log()[:, None]"
JUDGE = "return self.judge(tokens).squeeze(-1)"
NOISE = "return -torch.log(-torch.log(torch.rand_like(score).clamp(1e-9, 1 - 1e-6)))"
DECISION = "decision = hard + (soft - soft.detach())"
ADAM = "torch.optim.Adam(model.parameters(), lr=3e-3)"
GATHER = "d = decision.gather(1, best)"
HARD = "hard = torch.zeros_like(score).scatter(-1, best, 1.0)"
POOL = "return torch.softmax(logits, dim=-1) @ kept"
HALF_LOSS = "loss = criterion(model(batch), target)\n        loss.backward()"

SICK = (
    Sick("the mask of 1e10", ((LOG, "logits = logits - (1 - d[:, None]) * 1e10"),), "call.gain_is_about_one", "* 1e10"),
    Sick("the score detached", ((SOFT, "soft = torch.softmax(noisy.detach() / self.tau, dim=-1)"),), NO_PATH, "detach"),
    Sick(
        "the score under no_grad",
        (("scores = {name", "with torch.no_grad():\n            scores = {name"),),
        NO_PATH,
        "with torch.no_grad():",
    ),
    Sick(
        "indices alone",
        ((DECISION, "decision = None"), (HARD, "pass"), (GATHER, "d = torch.ones_like(kept[..., 0])")),
        NO_PATH,
        "best = score.topk(self.keep, dim=-1).indices",
    ),
    Sick("a hard mask", ((DECISION, "decision = hard"),), NO_PATH, "hard = torch.zeros_like"),
    Sick("D unused", ((LOG, "pass"),), NO_PATH, "self.pick[name].pool("),
    Sick(
        "D of the other modality",
        (
            ('LENGTHS = {"patches": 24, "frames": 20}', 'LENGTHS = {"patches": 24, "frames": 24}'),
            ("best, decision = chosen[name]",
             'best, decision = chosen[name][0], chosen["frames" if name == "patches" else "patches"][1]'),
            (LOG, "pass"),
            (POOL, "return (torch.softmax(logits, dim=-1) * d[:, None]) @ kept"),
        ),
        "call.decision_meets_its_tokens",
        "self.pick[name].pool(tokens[name], best, decision)",
    ),
    Sick("no noise", ((NOISE, "return 0.0"),), "noise_absent", "soft = ", remark=True),
    Sick(
        "noise drawn once",
        (("self.keep = KEEP", 'self.keep = KEEP\n        self.register_buffer("drawn", torch.rand(BATCH, tokens))'),
         ("torch.rand_like(score)", "self.drawn")),
        "noise_frozen",
        "self.drawn",
    ),
    Sick(
        "noise from one seed",
        ((NOISE, "torch.manual_seed(3)\n        " + NOISE),),
        "noise_frozen",
        NOISE,
        first=1,
    ),
    Sick("one noise for all", (("torch.rand_like(score)", "torch.rand_like(score[:1])"),), "noise_shared", "score[:1]"),
    Sick("a temperature of 0.001", (("self.tau = 1.0", "self.tau = 0.001"),), "temperature_low", "soft = "),
    Sick("a temperature of 1000", (("self.tau = 1.0", "self.tau = 1000.0"),), "temperature_high", "soft = "),
    Sick("a score of hundreds", ((JUDGE, "return 400 * self.judge(tokens).squeeze(-1)"),), "saturated", "soft = "),
    Sick(
        "a row that is nearly constant",
        ((JUDGE, "s = 1e-9 * self.judge(tokens).squeeze(-1)\n"
          "        low, high = s.amin(-1, keepdim=True), s.amax(-1, keepdim=True)\n"
          "        return (s - low) / (high - low + 1e-8)"),),
        "call.score_is_not_steep",
        "(high - low + 1e-8)",
    ),
    Sick(
        "float16 with the mask of 1e10",
        ((LOG, "logits = (logits.half() - (1 - d.half()[:, None]) * 1e10).float()"),
         (HALF_LOSS, "loss = criterion(model(batch), target)\n        (loss * 65536.0).backward()\n"
          "        for p in model.parameters():\n            p.grad.div_(65536.0).nan_to_num_(0, 0, 0)")),
        "overflow",
        "* 1e10",
    ),
    Sick(
        "a frozen score",
        (("self.keep = KEEP", "self.keep = KEEP\n        self.judge.requires_grad_(False)"),),
        "frozen",
        JUDGE,
    ),
    Sick(
        "a score in no optimizer",
        ((ADAM, 'torch.optim.Adam([p for n, p in model.named_parameters() if "judge" not in n], lr=3e-3)'),),
        "not_in_optimizer",
        JUDGE,
    ),
    Sick(
        "a learning rate of zero for the score",
        ((ADAM, 'torch.optim.Adam([{"params": [p for n, p in model.named_parameters() if "judge" in n], "lr": 0.0}, '
          '{"params": [p for n, p in model.named_parameters() if "judge" not in n]}], lr=3e-3)'),),
        "not_moved",
        JUDGE,
    ),
    Sick(
        "D summed",
        ((LOG, "pass"),
         ("return torch.softmax(logits, dim=-1) @ kept",
          "return (torch.softmax(logits, dim=-1) @ kept) * decision.sum(-1)[:, None, None]")),
        "cancelled",
        "decision.sum(-1)",
    ),
    Sick("K = N", (("self.keep = KEEP", "self.keep = tokens"),), "keeps_all", "best = score.topk", remark=True),
    Sick(
        "one score for the whole batch",
        ((JUDGE, "return self.judge(tokens.mean(0, keepdim=True)).squeeze(-1).repeat(len(tokens), 1)"),),
        "same_for_all",
        "repeat(len(tokens), 1)",
    ),
)  # fmt: skip

HEALTHY = (
    Healthy("log D", ()),
    Healthy("tokens times D", ((LOG, "pass"), (GATHER, "kept = kept * decision.gather(1, best)[..., None]"))),
    Healthy(
        "D on the weights",
        ((LOG, "pass"),
         ("return torch.softmax(logits, dim=-1) @ kept",
          "w = torch.softmax(logits, dim=-1) * d[:, None]\n        return (w / w.sum(-1, keepdim=True)) @ kept")),
    ),
    Healthy(
        "a policy of two classes",
        (("nn.Linear(8, 1))", "nn.Linear(8, 2))"),
         (JUDGE, "return self.judge(tokens)"),
         ("best = score.topk(self.keep, dim=-1).indices",
          "decision = nn.functional.gumbel_softmax(score, hard=True)[..., 0]\n        return None, decision"),
         ("kept = tokens.gather(1, best[..., None].expand(-1, -1, tokens.shape[-1]))", "kept = tokens"),
         (GATHER, "d = decision"),
         ("return torch.softmax(logits, dim=-1) @ kept",
          "w = logits.exp() * d[:, None]\n        return (w / (w.sum(-1, keepdim=True) + 1e-6)) @ kept"),
         (LOG, "pass")),
    ),
    Healthy("tiny gradients", ((HALF_LOSS, HALF_LOSS.replace("target)\n", "target) * 1e-9\n")),)),
    Healthy(
        "a learning rate that warms up",
        (("        optimizer.step()\n",
          '        for group in optimizer.param_groups:\n            group["lr"] = 3e-3 * min(1.0, number / 50)\n'
          "        optimizer.step()\n"),),
    ),
    Healthy(
        "a number kept that warms up",
        (("        optimizer.zero_grad()\n",
          "        for name, length in LENGTHS.items():\n"
          "            model.pick[name].keep = max(KEEP, length - number // 2)\n        optimizer.zero_grad()\n"),),
    ),
    Healthy(
        "a learned temperature",
        (("self.tau = 1.0", "self.log_tau = nn.Parameter(torch.zeros(()))"), ("self.tau", "self.log_tau.exp()")),
    ),
    Healthy(
        "a temperature that falls from 5 to 0.2",
        (("        optimizer.zero_grad()\n",
          "        for each in model.pick.values():\n            each.tau = 5.0 * 0.04 ** (number / 100)\n"
          "        optimizer.zero_grad()\n"),),
    ),
    Healthy(
        "bfloat16 by autocast, a clipped norm",
        ((HALF_LOSS, 'with torch.autocast("cpu", torch.bfloat16):\n'
          "            loss = criterion(model(batch), target)\n        loss.backward()\n"
          "        nn.utils.clip_grad_norm_(model.parameters(), 0.1)"),),
    ),
)  # fmt: skip
