"""The training step: the only place with backward() and optimizer.step()."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.data.batch import Batch
from translate.engine import Engine
from translate.model import Losses, Model, Painted, Turn
from translate.optim import WeightAverage
from translate.ranks import Ranks


class Trainer:
    """Lets the players of a model take their turns.

    `optimizers` are keyed by the name of the network (an attribute of `model`) whose weights they move. `curve` maps
    a step to a factor on every learning rate. `accumulate` splits each batch into that many parts, whose gradients
    are averaged, and those of all `ranks` are. The dice of a step are a pure function of `seed`, the step and the rank,
    so a resumed run throws the same.
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
        self._rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def step(self, batch: Batch) -> None:
        """One turn for each player that is due. `batch` lies on the device, in [-1, 1]."""
        torch.manual_seed(step_seed(self.seed, self.steps, self.ranks.rank))
        self._set_learning_rates()
        self.steps += 1
        due = [turn for turn in self._turns if self.steps % turn.every == 0]
        parts = batch.split(self.accumulate)
        # One part: painted once, with a graph where a generator is due. More: the graph is made a part at a time.
        painted = [self._paint(part, graph=len(parts) == 1 and any(turn.paints for turn in due)) for part in parts]
        for turn in due:
            self._take(turn, parts, painted)
        # A critic's extra steps leave the averaged networks where they are.
        if self.average and any(turn.paints for turn in due):
            self.average.update()

    def _take(self, turn: Turn, parts: Sequence[Batch], painted: Sequence[Painted]) -> None:
        with self._only(turn.networks) as weights:
            for part, images in zip(parts, painted, strict=True):
                if turn.paints and len(parts) > 1:
                    images = self._paint(part, graph=True)
                elif not turn.paints:
                    images = {name: image.detach() for name, image in images.items()}
                with self.engine.autocast():
                    losses = turn.losses(part, images)
                total = torch.stack(list(losses.values())).sum() / len(parts)
                torch.autograd.backward(total, inputs=weights)
                self._record(turn, losses)
            self.ranks.average([weight.grad for weight in weights if weight.grad is not None])
        for network in turn.networks:
            optimizer = self._optimizer_of[id(network)]
            optimizer.step()
            optimizer.zero_grad()
        turn.afterwards()

    def _paint(self, batch: Batch, graph: bool) -> Painted:
        with torch.set_grad_enabled(graph), self.engine.autocast():
            return self.model.paint(batch)

    @contextmanager
    def _only(self, networks: Sequence[nn.Module]) -> Iterator[list[nn.Parameter]]:
        """Within, only these networks' weights take part in gradients; they are what is yielded."""
        weights = [weight for network in networks for weight in network.parameters()]
        self.model.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        try:
            yield weights
        finally:
            self.model.requires_grad_(True)

    def _set_learning_rates(self) -> None:
        factor = self.curve(self.steps)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[name] * factor

    def _record(self, turn: Turn, losses: Losses) -> None:
        # Summed on the device; reading them would make the host wait for it.
        for name, loss in losses.items():
            key = f"{turn.name}/{name}"
            self.sums[key] = self.sums[key] + loss.detach() if key in self.sums else loss.detach()
            self.counts[key] = self.counts.get(key, 0) + 1

    def share_losses(self) -> None:
        """Makes the losses recorded those of all ranks, which do this together."""
        self.ranks.average(list(self.sums.values()))

    def read_losses(self) -> dict[str, float]:
        """Each loss, `turn/name`, averaged over the steps since the last reading, and over the ranks."""
        self.share_losses()
        means = {key: (total / self.counts[key]).item() for key, total in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        return means


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A seed of its own for every step of every run and rank (odd constants spread neighbours over 63 bits)."""
    return (seed * 0x9E3779B97F4A7C15 + rank * 0xD1B54A32D192ED03 + step) % 2**63
