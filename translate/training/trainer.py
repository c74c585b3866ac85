"""The training step: the only place that calls backward(), and where optimizers step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.data.batch import Batch
from translate.models.base import Model, Painted, Turn
from translate.training.cuda_graphs import CapturedProgram, CudaRecorder, Program
from translate.training.distributed import Ranks
from translate.training.loss_meter import Skips, Tally
from translate.training.non_finite import Statistics, not_finite, step_unless
from translate.training.optim import WeightAverage, set_rates
from translate.training.runtime import Engine


class Trainer:
    """Runs the turns of a model's players.

    `optimizers`, from `build_optimizer`, are keyed by the name of the network (an attribute of `model`) whose weights
    they move. `curve` maps a step, from 0, to a factor on every learning rate. `accumulate` splits each batch into that
    many equal parts and averages their gradients; gradients are then averaged over all `ranks`. `average`, if given,
    follows the networks of turns that paint. The random numbers of a step are a pure function of `seed`, the step and
    the rank, so a resumed run draws the same ones. A turn with a loss or a gradient that is not finite is skipped: it
    moves no weights, and is counted.
    """

    def __init__(
        self,
        model: Model,
        optimizers: Mapping[str, Optimizer],
        engine: Engine,
        *,
        curve: Callable[[int], float] = lambda step: 1.0,
        seed: int = 0,
        accumulate: int = 1,
        average: WeightAverage | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self.model, self.optimizers, self.engine = model, optimizers, engine
        self.curve, self.seed, self.accumulate, self.average = curve, seed, accumulate, average
        self.ranks = ranks or Ranks()
        self.steps = 0
        self._turns = model.turns()
        self._optimizer_of = {id(model.get_submodule(name)): optimizer for name, optimizer in optimizers.items()}
        self._statistics = Statistics(model.get_submodule(name) for name in optimizers)
        self.tallies = {turn.name: Tally(turn.name, engine.device) for turn in self._turns}
        self.program: Program = self._run
        if engine.captured:
            self.program = CapturedProgram(self._run, CudaRecorder(engine.device))

    def step(self, batch: Batch) -> None:
        """Takes every turn that is due. `batch` is on the engine's device, its images in [-1, 1]."""
        torch.manual_seed(step_seed(self.seed, self.steps, self.ranks.rank))
        for optimizer in self.optimizers.values():
            set_rates(optimizer, self.curve(self.steps))
        self.steps += 1
        self.program([turn for turn in self._turns if self.steps % turn.every == 0], batch)

    def _run(self, due: Sequence[Turn], batch: Batch) -> None:
        """Everything a step does with tensors. The host waits for none of them, and persistent tensors keep their
        addresses."""
        parts = batch.split(self.accumulate)
        with self._statistics.kept_finite():
            # A single part is painted once, with a graph if a generator is due; of several parts, each is painted again
            # with a graph when it is needed, as is a part whose graph an earlier turn has used up or made wrong.
            painted = [self._paint(part, graph=len(parts) == 1 and any(turn.paints for turn in due)) for part in parts]
            skipped = [(turn.paints, self._take(turn, parts, painted)) for turn in due]
        # Critic-only steps leave the averaged networks unchanged.
        painters = [flag for paints, flag in skipped if paints]
        if self.average and painters:
            self.average.update(torch.stack(painters).amax())

    def _take(self, turn: Turn, parts: Sequence[Batch], painted: list[Painted]) -> Tensor:
        """Takes one turn. Returns whether it was skipped, as a scalar: 1 or 0. Leaves in `painted` the latest images,
        without their graph if this turn moves a weight in it."""
        tally, totals = self.tallies[turn.name], []
        with self._only(turn.networks) as weights:
            for number, part in enumerate(parts):
                if turn.paints and not _has_graph(painted[number]):
                    painted[number] = self._paint(part, graph=True)
                images, detached = painted[number], {name: image.detach() for name, image in painted[number].items()}
                if turn.paints or _graph_holds(images, weights):
                    painted[number] = detached
                with self.engine.autocast():
                    losses = turn.losses(part, images if turn.paints else detached)
                total = torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum() / len(parts)
                torch.autograd.backward(total, inputs=weights)
                totals.append(total.detach())
                tally.add(losses)
        judged = torch.stack(totals).sum()
        # Averaged together with the loss, so that all ranks agree on whether to skip the turn.
        self.ranks.average([judged, *(weight.grad for weight in weights if weight.grad is not None)])
        skipped = not_finite(judged, weights)
        tally.count(skipped)
        for network in turn.networks:
            optimizer = self._optimizer_of[id(network)]
            step_unless(skipped, optimizer)
            optimizer.zero_grad()
        turn.afterwards()
        return skipped

    def _paint(self, batch: Batch, graph: bool) -> Painted:
        with torch.set_grad_enabled(graph), self.engine.autocast():
            return self.model.paint(batch)

    @contextmanager
    def _only(self, networks: Sequence[nn.Module]) -> Iterator[list[nn.Parameter]]:
        """Context in which only these networks' weights require gradients; yields those weights."""
        weights = [weight for network in networks for weight in network.parameters()]
        self.model.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        try:
            yield weights
        finally:
            self.model.requires_grad_(True)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Context for showing the model, with averaged weights if there are any; restores everything on exit."""
        if self.average:
            with self.average.applied():
                yield
            return
        # Batch norms in training mode would count the images shown.
        buffers = list(self.model.buffers())
        before = [buffer.clone() for buffer in buffers]
        try:
            yield
        finally:
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)

    def share_losses(self) -> None:
        """Averages the recorded losses over all ranks; every rank must call this."""
        self.ranks.average([tensor for tally in self.tallies.values() for tensor in tally.sums_and_counts])

    def read_losses(self) -> dict[str, float]:
        """Each loss, keyed `turn/name`: its mean over all ranks and the steps since the last reading in which it was
        finite. Every rank must call this."""
        self.share_losses()
        return {key: mean for tally in self.tallies.values() for key, mean in tally.read().items()}

    def read_skips(self) -> dict[str, Skips]:
        """How often each turn was skipped, by its name."""
        return {name: tally.read_skips() for name, tally in self.tallies.items()}

    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each network in the last step; before any step, that of the first."""
        factor = self.curve(max(self.steps - 1, 0))
        return {name: optimizer.param_groups[0]["initial_lr"] * factor for name, optimizer in self.optimizers.items()}


def _has_graph(painted: Painted) -> bool:
    return any(image.requires_grad for image in painted.values())


def _graph_holds(painted: Painted, weights: Sequence[nn.Parameter]) -> bool:
    """Whether a gradient through the painted images would be computed with any of these weights."""
    nodes, seen = [image.grad_fn for image in painted.values()], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [before for before, _ in node.next_functions]
    moved = {id(weight) for weight in weights}
    return any(id(getattr(node, "variable", None)) in moved for node in seen)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of one step of one run and rank; odd constants spread neighbouring runs and ranks over 63 bits."""
    return (seed * 0x9E3779B97F4A7C15 + rank * 0xD1B54A32D192ED03 + step) % 2**63
