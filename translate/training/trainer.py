"""The training step: the only place that calls backward(), and where optimizers step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.data.batch import Batch
from translate.models.base import Fakes, Model, Turn
from translate.training.cuda_graphs import CudaRecorder, GraphedStep, Program
from translate.training.distributed import Distributed
from translate.training.loss_meter import LossMeter, Skips
from translate.training.non_finite import Statistics, not_finite, step_unless
from translate.training.optim import WeightAverage, clip_gradients, set_rates
from translate.training.runtime import Runtime


class Trainer:
    """Runs the turns of a model's players.

    `optimizers`, from `build_optimizer`, are keyed by the name of the network (an attribute of `model`) that they move.
    `curve` maps a step, from 0, to a factor on every learning rate. `accumulate` splits each batch into that many equal
    parts. `average`, if given, follows the networks of turns that train generators. The random numbers of a step are a
    pure function of `seed`, step and rank. A turn with a loss or a gradient that is not finite is skipped: it moves no
    weights, and is counted.
    """

    def __init__(
        self,
        model: Model,
        optimizers: Mapping[str, Optimizer],
        runtime: Runtime,
        *,
        curve: Callable[[int], float] = lambda step: 1.0,
        seed: int = 0,
        accumulate: int = 1,
        average: WeightAverage | None = None,
        distributed: Distributed | None = None,
    ) -> None:
        self.model, self.optimizers, self.runtime = model, optimizers, runtime
        self.curve, self.seed, self.accumulate, self.average = curve, seed, accumulate, average
        self.distributed = distributed or Distributed()
        self.steps = 0
        self._turns = model.turns()
        self._name_of = {id(model.get_submodule(name)): name for name in optimizers}
        self._statistics = Statistics(model.get_submodule(name) for name in optimizers)
        self.loss_meters = {turn.name: LossMeter(turn.name, runtime.device) for turn in self._turns}
        self._norms = LossMeter("gradient_norm", runtime.device)
        clipped = [name for name, optimizer in optimizers.items() if optimizer.param_groups[0]["clip"]]
        self._unknown = dict.fromkeys(clipped, torch.full((), torch.nan, device=runtime.device))
        self.meters = [*self.loss_meters.values(), *([self._norms] if clipped else [])]
        self.program: Program = self._run
        if runtime.cuda_graphs:
            self.program = GraphedStep(self._run, CudaRecorder(runtime.device))

    def step(self, batch: Batch) -> None:
        """Takes every turn that is due. `batch` is on the runtime's device, its images in [-1, 1]."""
        torch.manual_seed(step_seed(self.seed, self.steps, self.distributed.rank))
        for optimizer in self.optimizers.values():
            set_rates(optimizer, self.curve(self.steps))
        self.model.step.fill_(self.steps)
        self.steps += 1
        self.program([turn for turn in self._turns if self.steps % turn.every == 0], batch)

    def _run(self, due: Sequence[Turn], batch: Batch) -> None:
        """All that a step does with tensors. The host waits for none of them, and what stays keeps its address."""
        parts, norms = batch.split(self.accumulate), dict(self._unknown)
        with self._statistics.kept_finite():
            # Fakes of a single part are generated once, with a graph if a generator is due; those of several parts
            # again with a graph when it is needed, as are those whose graph an earlier turn has used up or made wrong.
            fakes = [
                self._generate(part, graph=len(parts) == 1 and any(turn.trains_generators for turn in due))
                for part in parts
            ]
            skipped = [(turn.trains_generators, self._take(turn, parts, fakes, norms)) for turn in due]
        if norms:
            self._norms.add(norms)
        # Critic-only steps leave the averaged networks unchanged.
        generators = [flag for trains_generators, flag in skipped if trains_generators]
        if self.average and generators:
            self.average.update(torch.stack(generators).amax())

    def _take(self, turn: Turn, parts: Sequence[Batch], fakes: list[Fakes], norms: dict[str, Tensor]) -> Tensor:
        """Returns whether the turn was skipped, as a scalar: 1 or 0. Leaves in `fakes` the latest images, without
        their graph if this turn moves a weight in it, and in `norms` those of the gradients that it clips."""
        meter, totals = self.loss_meters[turn.name], []
        with self._only(turn.networks) as weights:
            for number, part in enumerate(parts):
                if turn.trains_generators and not any(image.requires_grad for image in fakes[number].values()):
                    fakes[number] = self._generate(part, graph=True)
                images, detached = fakes[number], {name: image.detach() for name, image in fakes[number].items()}
                if turn.trains_generators or _graph_holds(images, weights):
                    fakes[number] = detached
                with self.runtime.autocast():
                    losses = turn.losses(part, images if turn.trains_generators else detached)
                total = torch.stack([loss for loss in losses.values() if loss.requires_grad]).sum() / len(parts)
                torch.autograd.backward(total, inputs=weights)
                totals.append(total.detach())
                meter.add(losses)
        loss = torch.stack(totals).sum()
        # Averaged together with the loss, so that all ranks agree on whether to skip the turn.
        self.distributed.average([loss, *(weight.grad for weight in weights if weight.grad is not None)])
        skipped = not_finite(loss, weights)
        meter.count(skipped)
        for network in turn.networks:
            optimizer = self.optimizers[name := self._name_of[id(network)]]
            if (norm := clip_gradients(optimizer)) is not None:
                norms[name] = norm
            step_unless(skipped, optimizer)
            optimizer.zero_grad()
        turn.after_step()
        return skipped

    def _generate(self, batch: Batch, graph: bool) -> Fakes:
        with torch.set_grad_enabled(graph), self.runtime.autocast():
            fakes = self.model.generate(batch)
        return {name: batch.without_void(images) for name, images in fakes.items()} if batch.void else fakes

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
        self.distributed.average([tensor for meter in self.loss_meters.values() for tensor in meter.sums_and_counts])

    def read_losses(self) -> dict[str, float]:
        """Each loss, keyed `turn/name`: its mean over the ranks and steps since the last reading where it was finite.
        Every rank must call this."""
        self.share_losses()
        return {key: mean for meter in self.loss_meters.values() for key, mean in meter.read().items()}

    def read_norms(self) -> dict[str, float]:
        """The norm of the gradient of each network that has a `clip`, before it was clipped, keyed
        `gradient_norm/network`: its mean over the steps since the last reading where it was finite."""
        return self._norms.read()

    def read_skips(self) -> dict[str, Skips]:
        """How often each turn was skipped, by its name."""
        return {name: meter.read_skips() for name, meter in self.loss_meters.items()}

    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each network in the last step; before any step, that of the first."""
        factor = self.curve(max(self.steps - 1, 0))
        return {name: optimizer.param_groups[0]["initial_lr"] * factor for name, optimizer in self.optimizers.items()}


def _graph_holds(fakes: Fakes, weights: Sequence[nn.Parameter]) -> bool:
    """Whether a gradient through the fakes would be computed with any of these weights."""
    nodes, seen = [image.grad_fn for image in fakes.values()], set()
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
