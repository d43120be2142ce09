"""Modules in shapes that people really write, half of them with one fault each; each is judged by one call."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stranger:
    """A module of this folder. what: in a sentence. law: what must refuse a wrong one, of stage `call`; None if right.

    at: the source text of the lines that are at fault; naming any of them is right.
    """

    name: str
    what: str
    law: str | None = None
    at: tuple[str, ...] = ()


RIGHT = (
    Stranger(
        "caption_pooler",
        "Two texts, published pooling with log D as mask; noise is drawn in eval too, where it changes nothing.",
    ),
    Stranger("grounded_resampler", "Keyword arguments only, dictionary out, published pooling with a log mask."),
    Stranger(
        "camera_trio",
        "Three modalities, a tuple of M + 1 tokens each, log mask and an extra token from the dropped ones.",
    ),
    Stranger(
        "policy_vit",
        "Two-class Gumbel policy, attention softmax multiplied by D, class token always kept, gathered top-K in eval.",
    ),
    Stranger("image_pruner", "N from the image size, dataclass config, tokens times D and then gathered."),
    Stranger("curriculum_pruning", "K from a schedule by epoch, tokens times D with N kept, hard D in eval."),
    Stranger("sigmoid_gate", "Sigmoid gates against one half, straight-through, K not fixed."),
    Stranger(
        "masked_heads", "D as an attention mask over N keys, several heads, projected values, dropout on the weights."
    ),
    Stranger("weighted_pool", "D on the weights after the softmax, renormalised; sort in place of topk."),
    Stranger("frame_picker", "Functions only, einsum, D gathered by a one-hot."),
    Stranger("document_reader", "Five levels deep, two sites in a call, log mask, pooled tokens serve as keys."),
    Stranger(
        "audio_frames", "Threshold at the K-th value, channels first, learned temperature, tokens times D with N kept."
    ),
    Stranger("scripted_relevance", "The likeness that is the score is a torch.jit.script function; log mask."),
    Stranger(
        "perturbed_topk",
        "Hard top-K forward, perturbed top-K estimate backward, by an autograd Function; hard D in eval.",
    ),
    Stranger(
        "counted_router", "Batch norm in the score network, buffers that count calls, tokens times D with N kept."
    ),
    Stranger(
        "lazy_selector",
        "Lazily made parameters, class attributes as configuration, a NamedTuple out, sort in place of topk.",
    ),
    Stranger(
        "report_retrieval",
        "Text lengths as a list, SimpleNamespace configuration, extra token from the dropped ones, a similarity out.",
    ),
    Stranger("best_of_each_window", "The best of each window, a score that starts at zero but for its place."),
    Stranger("class_token_besides", "K patches and a class token that always stays, so that K + 1 are kept."),
    Stranger("gated_by_length", "Padding is multiplied away after the gate; the gate alone is open for some of it."),
    Stranger("in_their_order", "Everything in the order of the ranking, D with it."),
    Stranger("usual_height", "A gate above a running mean of the scores, which is updated while training."),
    Stranger("time_goes_first", "Frames along the first axis and samples along the second; ranked over the first."),
    Stranger(
        "nucleus_put_back", "As many frames as hold most of the probability; the mask is put back in their order."
    ),
    Stranger("packed_scenes", "Several samples in one tensor, a softmax over the objects of each."),
    Stranger(
        "merged_and_read",
        "Dropped tokens are added to their nearest kept ones, which alone are attended to; kl_div of a teacher.",
    ),
    Stranger("lowest_kept", "The lowest are kept, by a softmin; Gumbel noise is subtracted."),
    Stranger("two_picks", "Two selections in a row, with minus the logarithm of an exponential number as noise."),
    Stranger("tiles_by_weight", "Kept tiles are weighted by a softmax of their own scores; there is no D."),
    Stranger("hinge_over_captions", "Costs that are never below zero are masked with 0 before a maximum."),
    Stranger("budget_rounded_down", "Counts are rounded down on purpose; the goal of the rate is told its dtype."),
    Stranger("rewarded_in_pairs", "Losses over all pairs of samples, weighted by pairs; a policy term in one shape."),
    Stranger("maps_channels_first", "F.normalize without dim of maps B C N, which are then pooled and compared."),
    Stranger("lone_text_token", "One expert a token, weighed by its share of all; the text has one token."),
    Stranger("moments_in_time", "Kept moments in the order of time through a layer with a causal mask."),
    Stranger("slots_over_keys", "D on the rows of a map that is turned before it meets the values."),
    Stranger("two_sieves", "A second choice among the survivors of a first one, its indices composed with those."),
    Stranger("chosen_together", "Two modalities keep what scores highest on the whole, each with its own soft half."),
    Stranger("cooled_to_a_floor", "A buffer counts the steps of a temperature that ends at a floor of 0.05."),
    Stranger("level_in_full", "A running level and a count move; a clamped number in bfloat16 is written as it is."),
    Stranger("once_from_nothing", "LoRA with one factor of zeros, a gate of zeros before an ordinary branch."),
    Stranger("open_at_first", "Gates start mostly open, and are to keep a tenth at the end."),
    Stranger("peaks_of_a_map", "A finer map is sampled at chosen places, the column first."),
    Stranger("shot_list", "Shots taken one by one, by a score that falls with likeness; a straight-through sum."),
    Stranger("loudest_frames", "Scores behind a rectifier, of which fewer are kept than are above zero."),
    Stranger("gate_in_order", "Gates and tokens by the same sorted indices; one D a kept token."),
    Stranger("transport_plan", "An entropic transport plan for the soft half, without noise."),
    Stranger("rolling_notes", "A memory that is filled again after every piece, the last time for nothing."),
    Stranger("thresholds_by_layer", "A learned threshold a layer; in the first one most margins are far from it."),
    Stranger("rewarded_words", "REINFORCE: drawn words, rewarded by minus their loss over a running mean."),
)

WRONG = (
    Stranger(
        "switchable_select",
        "By default, with use_gumbel=False, no gradient reaches the score; right when it is switched on.",
        "default_is_trained",
        ("hard = torch.zeros_like(score).scatter(1, idx, 1.0)", "return hard"),
    ),
    Stranger(
        "phrase_pooler",
        "The mask multiplies the gradient of the score by 1e10.",
        "gain_is_about_one",
        ("weight = weight - (1 - keep_policy.unsqueeze(1)) * 1e10",),
    ),
    Stranger(
        "query_attention",
        "The attention mask multiplies the gradient of the score by 1e4.",
        "gain_is_about_one",
        ("logits = logits + (mask - 1.0)[:, None, None, :] * 1e4",),
    ),
    Stranger(
        "pruned_encoder",
        "The score is detached before D is made, so its network is never trained.",
        "gradient_reaches_score",
        ("score = self.rate(patches).squeeze(-1).detach()",),
    ),
    Stranger(
        "page_ranker",
        "The score is computed under no_grad, so its network is never trained.",
        "gradient_reaches_score",
        ("with torch.no_grad():", "score = self.score(words)"),
    ),
    Stranger(
        "patch_filter",
        "D is turned into a boolean, which carries no gradient, and then forgotten.",
        "gradient_reaches_score",
        ("keep = mask > 0.5", "x = x[keep].view(x.size(0), self.num_keep, x.size(2))"),
    ),
    Stranger(
        "scene_tokens",
        "D is not given to the pooling; only the background token's weak gradient reaches the score.",
        "gradient_reaches_score",
        ("tokens = torch.cat([self.pool(objects), background], dim=1)",),
    ),
    Stranger(
        "event_masker",
        "The mask is a scatter of ones without a soft part, so its score is never trained.",
        "gradient_reaches_score",
        ("mask.scatter_(1, index, 1.0)", "return mask"),
    ),
    Stranger(
        "sorted_pool",
        "Evaluated from left to right D is a rounding error below one, and the integer made of it drops those members.",
        "decision_is_hard",
        ("return hard + soft - soft.detach()",),
    ),
    Stranger(
        "hinted_reader",
        "The soft mask is a softmax over the batch in place of the tokens.",
        "backward_stays_in_its_sample",
        ("soft = torch.softmax(logits / self.tau, dim=0)",),
    ),
    Stranger(
        "radiology_words",
        "One row of noise is drawn and serves every sample of the batch.",
        "noise_is_fresh",
        ("uniform = torch.rand(score.size(1), dtype=score.dtype, device=score.device)",),
    ),
    Stranger(
        "annealed_sampler",
        "The score is disturbed in eval mode too, so the same input is ranked differently from call to call.",
        "eval_is_deterministic",
        ("score = score + self.sigma * torch.randn_like(score)",),
    ),
    Stranger(
        "spatial_order",
        "D is gathered by rank and the tokens in reading order, so each token answers for another one's score.",
        "decision_meets_its_tokens",
        ("trust = torch.take_along_dim(decision, best, dim=1)",),
    ),
    Stranger(
        "tempered_picker",
        "The score is multiplied by the temperature: 0.2 acts as 5.",
        "temperature_divides",
        ("return torch.softmax(score * self.cfg.temperature, dim=1)",),
    ),
    Stranger(
        "grid_selector",
        "The noise is drawn once, in the constructor, and the same at every step.",
        "noise_is_fresh",
        (
            "logits = score + self.gumbel[: len(score)] if self.training else score",
            "gumbel = -torch.log(-torch.log(torch.rand(max_batch, num_patches).clamp(min=1e-6)))",
            "logits = score + self.gumbel[: len(score)] if self.training else score",
        ),
    ),
    Stranger(
        "contrast_selector",
        "Min-max with an epsilon of 1e-8 on rows that start constant: gradients of 1e8.",
        "score_is_not_steep",
        ("return (rating - low) / (high - low + 1e-8)",),
    ),
    Stranger(
        "summary_token",
        "The extra token is made of the kept tokens in place of the dropped ones.",
        "extra_token_is_of_the_dropped",
        ("share = score.gather(1, keep).softmax(dim=1)", "summary = share.unsqueeze(1) @ self.rows(hidden, keep)"),
    ),
    Stranger(
        "sensor_fusion",
        "Each modality is pooled with the other one's D.",
        "decision_meets_its_tokens",
        (
            "camera_slots = self.pool_camera(camera, camera_index, lidar_policy)",
            "lidar_slots = self.pool_lidar(lidar, lidar_index, camera_policy)",
        ),
    ),
    Stranger(
        "clip_frames",
        "Min-max over the whole batch: what is kept of a sample depends on the others.",
        "samples_are_independent",
        ("low, high = cosine.min(), cosine.max()",),
    ),
    Stranger(
        "lowest_first",
        "The ranking ascends, so the worst segments are kept while the gradient raises the best.",
        "keeps_the_highest",
        ("kept = torch.argsort(quality, dim=1)[:, :count]",),
    ),
    Stranger(
        "remembered_rows",
        "What a row was worth in the call before counts in this one.",
        "repeats",
        ("worth = self.worth(rows)[..., 0] + 0.5 * self.habit",),
    ),
    Stranger(
        "silent_relevance",
        "Relevance is computed under no_grad, so nothing trains what is kept.",
        "gradient_reaches_score",
        ("with torch.no_grad():",),
    ),
    Stranger(
        "rated_merge",
        "A learned rating picks tokens by index and is returned besides: only a loss of its own could train it.",
        "choice_is_trained",
        ("best = rating.topk(min(self.keep, rating.shape[1]), dim=1).indices",),
    ),
    Stranger(
        "three_cameras",
        "The published form, word for word: its mask multiplies the gradient of the score by 1e10.",
        "gain_is_about_one",
        ("weight = weight - (1 - keep_policy.unsqueeze(1)) * 1e10",),
    ),
    Stranger(
        "three_cameras_unmasked",
        "The published form without D: the slots are pooled by an aggregation that never sees it.",
        "gradient_reaches_score",
        ('return torch.cat([getattr(self, f"{camera}_aggr")(select_tokens), extra_token], dim=1)',),
    ),
    Stranger(
        "latent_reader",
        "The logarithm of a D that is exactly 0 for most of N tokens: minus infinity forward, NaN backward.",
        "gradient_is_finite",
        ("affinity = affinity + chosen.log().unsqueeze(1)",),
    ),
    Stranger(
        "place_in_line",
        "Ranks are used as if they were positions: what is kept has nothing to do with the score.",
        "keeps_the_highest",
        ("place = merit.argsort(dim=1, descending=True).argsort(dim=1)", "first = place[:, : self.count]"),
    ),
    Stranger(
        "downward_noise",
        "The noise is log(-log(u)), without its minus.",
        "noise_is_gumbel",
        ("return salience + torch.log(-torch.log(u))",),
    ),
    Stranger(
        "centred_in_place",
        "The mean is taken off the caller's own patches.",
        "inputs_untouched",
        ("patches -= patches.mean(dim=1, keepdim=True)",),
    ),
    Stranger(
        "first_band_only",
        "The first band's decision is used for both; the second one's judge is asked for nothing.",
        "what_is_scored_is_used",
        ("merit = self.judges[band](pictures[band]).squeeze(-1)", "if not chosen:"),
    ),
    Stranger(
        "one_too_many",
        "Compared with the score at index K of a sorted row: K + 1 tokens are kept.",
        "keeps_as_many_as_asked",
        (
            "hard = (merit >= ordered[:, self.top_k : self.top_k + 1]).to(x.dtype)",
            "ordered = merit.sort(dim=-1, descending=True).values",
        ),
    ),
    Stranger(
        "equal_shares",
        "A softmax is summed over its own axis: every region's relevance is one.",
        "score_tells_tokens_apart",
        ("relevance = attention.sum(dim=-1)",),
    ),
    Stranger(
        "sure_of_itself",
        "A sigmoid of logits times a hundred: most confidences are 0 or 1.",
        "score_is_not_saturated",
        ("confidence = torch.sigmoid(self.out(self.norm(x)).squeeze(-1) / 0.01)",),
    ),
    Stranger(
        "halves_swapped",
        "Soft forward in training: what the hard half adds is nothing.",
        "decision_is_hard",
        ("gate = hard if not self.training else soft + (hard - hard.detach())",),
    ),
    Stranger(
        "rest_of_the_best",
        "The mask of the extra token is turned: it pools the kept tokens.",
        "extra_token_is_of_the_dropped",
        ("rest = merit.masked_fill(hard < 0.5, -torch.inf).softmax(dim=-1).unsqueeze(1) @ x",),
    ),
    Stranger(
        "flickering_scores",
        "The last call's scores are mixed into the next one's.",
        "repeats",
        ("merit = 0.5 * merit + 0.5 * self.last",),
    ),
    Stranger(
        "longest_decides",
        "K comes from the longest sentence of the batch.",
        "samples_are_independent",
        ("index = merit.topk(keep, dim=1).indices", "keep = int(lengths.max()) // 2"),
    ),
    Stranger(
        "averaged_batch",
        "A perturbed ranking whose own backward pass averages over the batch as well.",
        "own_backward_stays_in_its_sample",
        (
            "best = (merit.unsqueeze(0) + sigma * noise).topk(keep, dim=-1).indices",
            "return tokens * PerturbedBest.apply(merit, self.keep, noise, self.sigma).unsqueeze(-1)",
        ),
    ),
    Stranger(
        "unlisted_judges",
        "Score layers in a plain list: no optimizer gets them.",
        "parameters_are_registered",
        ("self.judges = [nn.Linear(dim, 1) for _ in range(rounds)]",),
    ),
    Stranger(
        "second_thoughts",
        "Checkpointed without the generator's state: the backward pass keeps other tokens.",
        "backward_draws_nothing",
        ("return checkpoint(self.block, scenes, use_reentrant=False, preserve_rng_state=False)",),
    ),
    Stranger(
        "warm_then_cold",
        "min stands where max is meant: the temperature starts at its end and falls to zero.",
        "schedules_end_well",
        ("return min(self.tau_end, cooled)",),
    ),
    Stranger(
        "cooled_in_a_buffer",
        "Nothing bounds a linear schedule, and the temperature turns negative.",
        "schedules_end_well",
        (
            "done = self.seen / self.anneal_steps",
            "tau = float(self.start + (self.end - self.start) * done)",
        ),
    ),
    Stranger(
        "level_in_half",
        "A running mean with momentum 0.99 in bfloat16 does not move.",
        "running_values_move",
        (
            'self.register_buffer("level", torch.full((), 0.5, dtype=torch.bfloat16))',
            "self.level.mul_(self.momentum).add_((1 - self.momentum) * now.to(self.level.dtype))",
        ),
    ),
    Stranger(
        "twice_from_nothing",
        "Both factors of a low-rank update start at zero.",
        "parameters_can_leave_zero",
        (
            "self.down = nn.Parameter(torch.zeros(rank, base.in_features))",
            "self.up = nn.Parameter(torch.zeros(base.out_features, rank))",
        ),
    ),
    Stranger(
        "shut_at_first",
        "The bias of gates that should start open is the logit of the other share.",
        "keeps_no_complement",
        ("nn.init.constant_(self.gate.bias, math.log((1 - init_keep) / init_keep))",),
    ),
    Stranger(
        "cooled_too_late",
        "The temperature divides the softmax, not the score.",
        "soft_mask_sums_to_one",
        ("soft = weight.softmax(dim=-1) / self.tau",),
    ),
    Stranger(
        "half_a_backward",
        "A softmax's backward pass by hand, without the other tokens' part.",
        "soft_mask_sums_to_one",
        ("return soft * slope, None",),
    ),
    Stranger(
        "left_neighbour",
        "Indices that count cells pick from cells with a summary in front.",
        "scored_token_is_kept",
        ("chosen = cells.gather(1, index.unsqueeze(-1).expand(-1, -1, cells.shape[-1]))",),
    ),
    Stranger(
        "viewed_for_turned",
        "Scores of two readers are viewed as if they were transposed.",
        "axes_are_moved",
        ("weight = self.weigh(pages).view(batch, self.readers, count)",),
    ),
    Stranger(
        "first_window_only",
        "Indices within a stretch pick from the first stretch alone.",
        "scored_token_is_kept",
        (
            "places = index.flatten(1)",
            "chosen = frames.gather(1, places.unsqueeze(-1).expand(-1, -1, dim))",
        ),
    ),
    Stranger(
        "other_channel_later",
        "Trained to keep by the first channel, used by the second.",
        "eval_keeps_what_training_keeps",
        ("index = odds[..., 1].topk(count, dim=1).indices",),
    ),
    Stranger(
        "learns_while_tested",
        "A running mean is updated in eval mode too.",
        "eval_leaves_no_trace",
        ("self.usual += 0.3 * (weight.amax() - self.usual)",),
    ),
    Stranger(
        "ones_as_a_mask",
        "A floating mask of zeros and ones, which attention adds to its logits.",
        "dropped_logits_are_masked",
        ("return F.scaled_dot_product_attention(query, facts, facts, attn_mask=admitted.unsqueeze(1))",),
    ),
    Stranger(
        "sure_in_vain",
        "gumbel_softmax is given probabilities.",
        "logits_are_drawn_from",
        ("stays = F.gumbel_softmax(odds, tau=1.0, hard=True, dim=-1)[..., 1]",),
    ),
    Stranger(
        "drawn_twice",
        "Drawn with replacement: fewer than K different tokens.",
        "no_token_is_drawn_twice",
        ("index = torch.multinomial(soft.detach(), self.places, replacement=True)",),
    ),
    Stranger(
        "counts_from_below",
        "The K-th lowest score is the border: as many are kept as should be dropped.",
        "keeps_no_complement",
        (
            "border = weight.kthvalue(count, dim=1, keepdim=True).values",
            "hard = (weight >= border).to(weight.dtype)",
        ),
    ),
    Stranger(
        "padding_beats_words",
        "Padding's score is 0, which is above every negative one.",
        "padding_is_not_kept",
        ("index = weight.topk(self.keep, dim=1).indices",),
    ),
    Stranger(
        "first_places",
        "The first K learned places go to the kept tokens.",
        "places_are_of_the_kept",
        ("return chosen + self.places[:, : chosen.shape[1]]",),
    ),
    Stranger(
        "no_cosine",
        "F.normalize without dim, over the regions.",
        "score_is_normalised_by_channels",
        ("seen = F.normalize(self.look(regions))",),
    ),
    Stranger(
        "normed_away",
        "A layer norm right after the product with D divides D out.",
        "gain_is_about_one",
        ("chosen = self.after(chosen * decision.gather(1, index).unsqueeze(-1))",),
    ),
    Stranger(
        "clamped_decision",
        "D is clamped below one before its logarithm, so that it has no slope.",
        "gradient_reaches_score",
        ("kept = decision.gather(1, index).clamp(1e-4, 1 - 1e-4)",),
    ),
    Stranger(
        "axis_of_the_heads",
        "The softmax is taken over the heads, the ranking over the tokens.",
        "soft_mask_sums_to_one",
        ("soft = weight.softmax(dim=1)",),
    ),
    Stranger(
        "one_more_hook",
        "Every call registers one more hook, which halves the gradient.",
        "backward_draws_nothing",
        ("self.weigh.weight.register_hook(lambda slope: 0.5 * slope)",),
    ),
    Stranger(
        "two_draws",
        "The ranking and the soft mask draw noise of their own.",
        "one_draw_serves_both",
        ("soft = self.stirred(weight).softmax(dim=-1)",),
    ),
    Stranger(
        "warmed_by_tau",
        "The score is multiplied by a temperature that a schedule gives.",
        "temperature_divides",
        ("soft = (weight * tau).softmax(dim=-1)",),
    ),
    Stranger(
        "soft_in_use",
        "In eval mode the soft mask weighs all tokens.",
        "eval_chooses_too",
        ("soft = weight.softmax(dim=-1)",),
    ),
    Stranger(
        "padded_mean",
        "The mean word of a caption sums the padded places too.",
        "padding_is_not_read",
        ("said = self.read(caption).sum(1) / lengths.unsqueeze(-1)",),
    ),
    Stranger(
        "first_channel_only",
        "The index of the gather is one channel wide.",
        "tokens_are_picked_whole",
        ("chosen = cells.gather(1, index.unsqueeze(-1))",),
    ),
    Stranger(
        "ordered_twice",
        "Put back by the order itself, and not by its inverse.",
        "tokens_are_picked_whole",
        ("return torch.cat([busy, ordered[:, self.keep :]], dim=1).gather(1, spread)",),
    ),
    Stranger(
        "turned_gate",
        "Straight through with its sign turned: opened - (chance - chance.detach()).",
        "keeps_the_highest",
        ("gate = opened - (chance - chance.detach())",),
    ),
    Stranger(
        "hard_saved",
        "A backward pass of its own takes the hard mask for the softmax.",
        "soft_mask_sums_to_one",
        ("ctx.save_for_backward(chosen)", "(weight,) = ctx.saved_tensors", "return weight * (slope - mean), None"),
    ),
    Stranger(
        "nucleus_in_front",
        "A mask over sorted probabilities is used in the order of the tokens.",
        "sorted_mask_is_put_back",
        ("within = (reached < self.mass).to(share.dtype)",),
    ),
    Stranger(
        "normal_for_uniform",
        "Gumbel noise is made of normal numbers.",
        "noise_is_gumbel",
        ("drawn = torch.empty_like(logits).normal_().clamp(1e-6, 1 - 1e-6)",),
    ),
    Stranger(
        "untrained_cutoff",
        "A learned threshold is compared with, and is not in the soft mask.",
        "deciding_parameters_are_trained",
        ("hard = (quality > self.cutoff).to(soft.dtype)",),
    ),
    Stranger(
        "alike_slots",
        "Slots start alike, and nothing ever tells them apart.",
        "rows_of_parameters_differ",
        ("self.slots = nn.Parameter(torch.full((slots, dim), 0.1))",),
    ),
    Stranger(
        "kept_graph",
        "A running mean keeps the graph of the step that it was made in.",
        "steps_follow_each_other",
        ("self.level = self.momentum * self.level + (1 - self.momentum) * score.mean()",),
    ),
    Stranger(
        "reshaped_map",
        "A feature map is read as tokens without moving an axis.",
        "axes_are_moved",
        ("places = grid.reshape(batch, -1, dim)",),
    ),
    Stranger(
        "merged_over",
        "Dropped tokens that go to one place replace each other.",
        "nothing_is_written_over",
        ("merged[rows, nearest] += rest",),
    ),
    Stranger(
        "hidden_kept",
        "The mask of the kept words hides them from the attention.",
        "kept_tokens_are_attended",
        ("said, _ = self.attend(question, words, words, key_padding_mask=hard > 0)",),
    ),
    Stranger(
        "imitated_attention",
        "kl_div is given probabilities.",
        "losses_get_what_they_take",
        ('imitation = F.kl_div(soft, attention, reduction="batchmean")',),
    ),
    Stranger(
        "one_place_early",
        "Indices of patches pick from a stream with a class token in front, beside which they were scored.",
        "scored_token_is_kept",
        ("kept = stream.gather(1, index.unsqueeze(-1).expand(-1, -1, stream.shape[-1]))",),
    ),
    Stranger(
        "back_again",
        "The second stage's policy replaces the first one's: tokens come back.",
        "dropped_tokens_stay_dropped",
        ("fresh = F.gumbel_softmax(logits, hard=True) if self.training else F.one_hot(logits.argmax(-1), 2).float()",),
    ),
    Stranger(
        "weights_of_others",
        "Indices are sorted by time, and the weights are not.",
        "weights_are_of_the_kept",
        ("weight, index = share.topk(self.keep, dim=1)",),
    ),
    Stranger(
        "one_for_all",
        "A list of layers is multiplied: it holds one layer three times.",
        "parts_of_a_list_differ",
        ("self.scorers = nn.ModuleList([nn.Linear(dim, 1)] * channels)",),
    ),
    Stranger(
        "slots_by_view",
        "Weights B K M are read as B M K without moving an axis.",
        "axes_are_moved",
        ("return weight.reshape(len(patches), self.slots, self.keep) @ kept",),
    ),
    Stranger(
        "seeded_noise",
        "torch.manual_seed in the forward pass.",
        "generator_goes_on",
        ("torch.manual_seed(self.seed)",),
    ),
    Stranger(
        "same_text_twice",
        "The likeness to the description is that to the title once more.",
        "terms_of_the_score_differ",
        ("by_description = self.likeness(patches, title)",),
    ),
    Stranger(
        "balanced_away",
        "At beta = 0.5 the learned score has no weight.",
        "every_term_of_the_score_counts",
        ("score = (1 - 2 * self.beta) * self.learned(patches).squeeze(-1) + 2 * self.beta * likeness",),
    ),
    Stranger(
        "hardest_of_zeros",
        "The nearest of what is masked by a product is 0.",
        "masked_entries_do_not_win",
        ("nearest = (distance * (1 - same)).amin(dim=1)",),
    ),
    Stranger(
        "hard_negatives_by_likeness",
        "Minus a distance is filled with 0 before a maximum.",
        "masked_entries_do_not_win",
        ("hardest = closeness.masked_fill(own, 0.0).max(dim=1).values",),
    ),
    Stranger(
        "budget_in_whole_numbers",
        "A share of 0.4 is written into a tensor of counts.",
        "numbers_are_not_truncated",
        ("goal = torch.full_like(present, self.share)",),
    ),
    Stranger(
        "rewarded_glimpses",
        "Log-probabilities (B, 1) times advantages (B,), averaged over B x B.",
        "losses_are_not_crossed",
        ("policy = -(log_chance * advantage).mean()",),
    ),
    Stranger(
        "words_meet_slots",
        "F.normalize without dim of slots that meet words.",
        "score_is_normalised_by_channels",
        ("slots = F.normalize(self.slots(patches))",),
    ),
    Stranger(
        "lone_expert",
        "The one weight of top-1 routing is divided by itself.",
        "one_of_one_is_one",
        ("weight = weight / weight.sum(dim=-1, keepdim=True)",),
    ),
    Stranger(
        "half_in_eval",
        "A train() of its own does not hand on to the parts.",
        "eval_reaches_every_part",
        ("def train(self, mode=True):",),
    ),
    Stranger(
        "unsaved_mean",
        "A running mean is a plain attribute, in no state_dict.",
        "state_is_saved",
        ("self.mean = torch.zeros(dim)", "self.mean = 0.5 * self.mean + 0.5 * tokens.mean(dim=(0, 1))"),
    ),
    Stranger(
        "mask_by_shape",
        "The mask of the padding is kept by shape, whatever the lengths are.",
        "repeats",
        (
            "weight = self.weigh(words).squeeze(-1).masked_fill(~self.valid(words, lengths), -1e4)",
            "self.masks[words.shape[:2]] = torch.arange(words.shape[1]) < lengths.unsqueeze(1)",
        ),
    ),
    Stranger(
        "surprising_moments",
        "Kept moments go through a causal attention in the order of their scores.",
        "routed_tokens_keep_their_order",
        ("weight, index = surprise.topk(self.capacity, dim=1)",),
    ),
    Stranger(
        "visible_words",
        "The policy masks the queries of an attention and not its keys.",
        "policy_masks_the_keys",
        ("weight = weight * visible.unsqueeze(1).unsqueeze(-1)",),
    ),
    Stranger(
        "coarse_then_fine",
        "Indices among the survivors of a first choice are scattered into a mask of all.",
        "positions_are_of_the_whole",
        ("others = torch.ones_like(cheap).scatter(1, few, 0.0)",),
    ),
    Stranger(
        "indices_by_shape",
        "Indices are kept by shape, so that the second modality gets the first one's.",
        "hard_and_soft_are_of_one_score",
        ("hard = torch.zeros_like(soft).scatter(1, index, 1.0)",),
    ),
    Stranger(
        "glimpses",
        "A map is sampled at (row, column), where (x, y) is taken.",
        "grid_is_x_then_y",
        ("grid = torch.stack([down, right], dim=-1).unsqueeze(1)",),
    ),
    Stranger(
        "struck_out",
        "What was taken is struck out in memory that the score shares.",
        "detached_memory_is_left_alone",
        ('open_ones.scatter_(1, best, float("-inf"))',),
    ),
    Stranger(
        "rectified_relevance",
        "A rectifier before the ranking: half of the scores are zero, and some of those are kept.",
        "ties_do_not_decide",
        ("relevance = torch.relu(relevance / passages.shape[-1] ** 0.5)",),
    ),
    Stranger(
        "sorted_behind_the_gate",
        "The indices are sorted after the gates were gathered by them.",
        "scored_token_is_kept",
        ("kept = torch.take_along_dim(patches, best.unsqueeze(-1), dim=1)", "best = best.sort(dim=1).values"),
    ),
    Stranger(
        "rewarded_shots",
        "REINFORCE with a cost in the place of the reward: what makes the loss worse becomes likelier.",
        "less_loss_is_rewarded",
        ("gain = better * chance.gather(1, drawn).sum(1)",),
    ),
)
