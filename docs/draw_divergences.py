"""Draws the pictures of docs/divergences.md and prints its table of numbers: python docs/draw_divergences.py

Everything is computed with translate.losses.theory, and so by the adversarial core, in seconds on one CPU core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from plots import BLUE, GREEN, GREY, ORANGE, PURPLE, Curve, Panel, draw
from torch import Tensor, nn

from translate.losses import theory
from translate.losses.adversarial import OBJECTIVES
from translate.reporting.axes import Axis

PICTURES = Path(__file__).resolve().parent / "pictures"
LINE = torch.linspace(-24, 24, 4801, dtype=torch.float64)
STEP = float(LINE[1] - LINE[0])

REAL, FAKE = theory.gaussian(LINE, 0.0, 1.0), theory.gaussian(LINE, 1.5, 0.7)
HALF_WIDTH = 1.0  # of the bumps that are shifted apart
MODES = 4.0  # two modes at +- this, of standard deviation 1
MIXTURE = (theory.gaussian(LINE, -MODES, 1.0) + theory.gaussian(LINE, MODES, 1.0)) / 2

GENERATORS = {"minimax": PURPLE, "nonsaturating": ORANGE, "wasserstein": GREEN}

Divergence = Callable[[Tensor, Tensor], Tensor]


def train_discriminator(p: Tensor, q: Tensor, steps: int = 600) -> tuple[Tensor, list[float]]:
    """A multi-layer perceptron taught by the core's minimax loss: its logits on LINE and the game's value by step."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1)).double()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    places = LINE[:, None] / 3
    seen = (p + q) * len(p) > 1e-6  # where nearly nothing falls there is nothing to learn
    p, q = p[seen] / p[seen].sum(), q[seen] / q[seen].sum()
    values = []
    for _ in range(steps):
        loss = theory.discriminator_loss(OBJECTIVES["minimax"], p, q, network(places[seen])[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        values.append(-loss.item())
    return network(places)[:, 0].detach(), values


def by_shift(divergence: Divergence, shifts: Tensor, density: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """The divergence of a density from itself moved by each shift, and its derivative by autograd."""
    shifts = shifts.clone().requires_grad_()
    still = density(torch.zeros((), dtype=torch.float64))
    values = torch.stack([divergence(still, density(shift)) for shift in shifts])
    (slopes,) = torch.autograd.grad(values.sum(), shifts)
    return values.detach(), slopes


def bump_at(shift: Tensor) -> Tensor:
    return theory.bump(LINE, shift, HALF_WIDTH)


def normal_at(shift: Tensor) -> Tensor:
    return theory.gaussian(LINE, shift, 1.0)


def w1(p: Tensor, q: Tensor) -> Tensor:
    return theory.wasserstein1(p, q, LINE)


def felt_by_the_generator(objective: str) -> Divergence:
    """The generator's loss against the best discriminator, or critic, for where it stands."""

    def loss(p: Tensor, q: Tensor) -> Tensor:
        best = theory.optimal_critic(p, q, LINE) if objective == "wasserstein" else theory.optimal_discriminator(p, q)
        return theory.generator_loss(OBJECTIVES[objective], q, best)

    return loss


def fit_gaussian(divergence: Divergence, mean: float, std: float) -> tuple[float, float]:
    """Mean and standard deviation of the Gaussian q of least divergence(MIXTURE, q), downhill from a start."""
    place = torch.tensor([mean, math.log(std)], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([place], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = divergence(MIXTURE, theory.gaussian(LINE, place[0], place[1].exp()))
        loss.backward()
        return loss

    optimizer.step(closure)
    return place[0].item(), place[1].exp().item()


def numbers() -> dict[str, float]:
    """What the page states in figures, under the names that its table gives them."""
    _, values = train_discriminator(REAL, FAKE)
    best = theory.minimax_value(REAL, FAKE, theory.optimal_discriminator(REAL, FAKE))
    apart = torch.tensor([3.0], dtype=torch.float64)
    js_apart, js_slope = by_shift(theory.js, apart, bump_at)
    w1_apart, w1_slope = by_shift(w1, apart, bump_at)
    pulls = {name: by_shift(felt_by_the_generator(name), apart, normal_at)[1] for name in GENERATORS}
    covering = fit_gaussian(theory.kl, 2.0, 1.0)
    seeking = fit_gaussian(theory.reverse_kl, 2.0, 1.0)
    wide = fit_gaussian(theory.reverse_kl, 0.0, 3.0)
    by_fit = {fit: theory.gaussian(LINE, *fit) for fit in (covering, seeking, wide)}
    found = {
        "2 JS − log 4 of the two Gaussians": 2 * theory.js(REAL, FAKE) - math.log(4),
        "minimax value at the optimal discriminator": best,
        "minimax value of the trained discriminator": values[-1],
        "JS, bumps 3 apart": js_apart,
        "slope of JS, bumps 3 apart": js_slope,
        "W1, bumps 3 apart": w1_apart,
        "slope of W1, bumps 3 apart": w1_slope,
        "minimax generator's gradient, Gaussians 3 apart": pulls["minimax"],
        "non-saturating generator's gradient, Gaussians 3 apart": pulls["nonsaturating"],
        "Wasserstein generator's gradient, Gaussians 3 apart": pulls["wasserstein"],
        "forward KL: fitted mean": covering[0],
        "forward KL: fitted standard deviation": covering[1],
        "forward KL at its fit": theory.kl(MIXTURE, by_fit[covering]),
        "reverse KL: fitted mean": seeking[0],
        "reverse KL: fitted standard deviation": seeking[1],
        "reverse KL at its fit": theory.reverse_kl(MIXTURE, by_fit[seeking]),
        "reverse KL at its wide local minimum": theory.reverse_kl(MIXTURE, by_fit[wide]),
        "standard deviation of that wide Gaussian": wide[1],
        "KL of N(1.5, 0.7²) to N(0, 1), closed form": theory.gaussian_kl(1.5, 0.7),
        "KL of N(1.5, 0.7²) to N(0, 1), summed on the grid": theory.kl(FAKE, REAL),
    }
    return {name: float(value) for name, value in found.items()}


def draw_minimax(folder: Path) -> None:
    trained, values = train_discriminator(REAL, FAKE)
    optimal = torch.sigmoid(theory.optimal_discriminator(REAL, FAKE))
    bound = float(2 * theory.js(REAL, FAKE)) - math.log(4)
    steps = range(1, len(values) + 1)
    left = Panel(
        "Two densities and the discriminator",
        "x",
        "density; of D, probability",
        [
            _on_line("real images p", REAL / STEP, BLUE, filled=True),
            _on_line("generated images q", FAKE / STEP, ORANGE, filled=True),
            _on_line("optimal discriminator p / (p + q)", optimal, GREY),
            _on_line("trained discriminator sigmoid(D)", torch.sigmoid(trained), GREEN, dashes="2 6"),
        ],
        Axis(-4, 5),
        Axis(0, 1.05),
    )
    right = Panel(
        "Value of the game while D learns",
        "step",
        "nats",
        [
            Curve("E log sigmoid(D) + E log(1 − sigmoid(D))", steps, values, GREEN),
            Curve("2 JS − log 4, the greatest value", [1, len(values)], [bound, bound], GREY, dashes="7 5"),
            Curve("−log 4, where D cannot tell", [1, len(values)], [-math.log(4)] * 2, PURPLE, dashes="2 6"),
        ],
        Axis(1, len(values), logarithmic=True),
        Axis(-1.5, -0.7),
    )
    draw(
        folder / "minimax.svg",
        "The minimax value rises to twice the Jensen-Shannon divergence less log 4",
        [left, right],
    )


def draw_shift(folder: Path) -> None:
    shifts = torch.linspace(-4, 4, 201, dtype=torch.float64)
    (js, js_slope), (distance, distance_slope) = by_shift(theory.js, shifts, bump_at), by_shift(w1, shifts, bump_at)
    distance_slope[len(shifts) // 2] = math.nan  # a kink: no slope where p is q
    densities = Panel(
        "Two bumps",
        "x",
        "density",
        [
            _on_line("real", bump_at(torch.tensor(0.0)) / STEP, BLUE, filled=True),
            _on_line("generated, shift 1", bump_at(torch.tensor(1.0)) / STEP, ORANGE, filled=True),
            _on_line("generated, shift 3", bump_at(torch.tensor(3.0)) / STEP, ORANGE, dashes="7 5"),
        ],
        Axis(-1.5, 4.5),
        Axis(0, 1.5),
    )
    x = shifts.tolist()
    values = Panel(
        "Divergence",
        "shift",
        "JS in nats, W1 in units of x",
        [
            Curve("JS, Jensen-Shannon", x, js.tolist(), PURPLE),
            Curve("W1, Wasserstein-1", x, distance.tolist(), GREEN),
            Curve("log 2", [-4, 4], [math.log(2)] * 2, GREY, dashes="2 6"),
        ],
        Axis(-4, 4),
        Axis(0, 4),
    )
    slopes = Panel(
        "Its derivative",
        "shift",
        "per unit of shift, by autograd",
        [
            Curve("JS: 0 once apart", x, js_slope.tolist(), PURPLE),
            Curve("W1: −1 or 1", x, distance_slope.tolist(), GREEN),
        ],
        Axis(-4, 4),
        Axis(-1.2, 1.2),
    )
    draw(
        folder / "shift.svg",
        "Jensen-Shannon is flat at log 2 once supports part, Wasserstein is not",
        [densities, values, slopes],
    )


def draw_generator(folder: Path) -> None:
    logits = torch.linspace(-6, 6, 121, dtype=torch.float64, requires_grad=True)
    pushes = {
        name: -torch.autograd.grad(OBJECTIVES[name].generator(logits).sum(), logits)[0].detach() for name in GENERATORS
    }
    left = Panel(
        "Push on one generated image",
        "its logit D (left: D is sure that it is fake)",
        "size of the loss's gradient by D",
        [
            Curve(f"{name}: {formula}", logits.tolist(), pushes[name].tolist(), colour)
            for (name, colour), formula in zip(GENERATORS.items(), ("sigmoid(D)", "sigmoid(−D)", "1"), strict=True)
        ],
        Axis(-6, 6),
        Axis(0, 1.1),
    )
    shifts = torch.linspace(0.02, 6, 150, dtype=torch.float64)
    right = Panel(
        "Pull on a Gaussian at the optimal D",
        "shift from the real Gaussian, in standard deviations",
        "derivative of the generator's loss by the shift",
        [
            Curve(
                f"{name}: derivative of {what}",
                shifts.tolist(),
                by_shift(felt_by_the_generator(name), shifts, normal_at)[1].tolist(),
                colour,
            )
            for (name, colour), what in zip(GENERATORS.items(), ("2 JS", "KL(q‖p) − 2 JS", "W1"), strict=True)
        ],
        Axis(0, 6),
        Axis(0, 3),
    )
    draw(
        folder / "generator.svg",
        "The minimax generator's gradient vanishes where the discriminator is sure",
        [left, right],
    )


def draw_modes(folder: Path) -> None:
    covering = fit_gaussian(theory.kl, 2.0, 1.0)
    seeking = fit_gaussian(theory.reverse_kl, 2.0, 1.0)
    other = fit_gaussian(theory.reverse_kl, -2.0, 1.0)
    left = Panel(
        "One Gaussian fitted to two",
        "x",
        "density",
        [
            _on_line("target p", MIXTURE / STEP, BLUE, filled=True),
            _on_line("least KL(p‖q): covers both", theory.gaussian(LINE, *covering) / STEP, GREEN),
            _on_line("least KL(q‖p): seeks one", theory.gaussian(LINE, *seeking) / STEP, ORANGE),
            _on_line("the same from another start", theory.gaussian(LINE, *other) / STEP, ORANGE, dashes="2 6"),
        ],
        Axis(-8, 8),
        Axis(0, 0.44),
    )
    means = torch.linspace(-6, 6, 121, dtype=torch.float64)
    forward, reverse = (
        [float(divergence(MIXTURE, theory.gaussian(LINE, mean, 1.0))) for mean in means]
        for divergence in (theory.kl, theory.reverse_kl)
    )
    right = Panel(
        "Divergence by q's mean (its std is 1)",
        "mean of q",
        "nats",
        [
            Curve("KL(p‖q): least between the modes", means.tolist(), forward, GREEN),
            Curve("KL(q‖p): least at either mode", means.tolist(), reverse, ORANGE),
            Curve("log 2", [-6, 6], [math.log(2)] * 2, GREY, dashes="2 6"),
        ],
        Axis(-6, 6),
        Axis(0, 16),
    )
    draw(folder / "modes.svg", "Forward KL covers both modes, reverse KL seeks one", [left, right])


def _on_line(name: str, values: Tensor, colour: str, dashes: str = "", filled: bool = False) -> Curve:
    seen = slice(None, None, 5)
    return Curve(name, LINE[seen].tolist(), values[seen].tolist(), colour, dashes, filled)


def table() -> str:
    """The page's table."""
    return "\n".join(f"| {name} | {written(value)} |" for name, value in numbers().items())


def written(value: float) -> str:
    """To four decimals, without a minus before zero."""
    return f"{value:z.4f}".replace("-", "−")


def main(folder: Path = PICTURES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (draw_minimax, draw_shift, draw_generator, draw_modes):
        picture(folder)


if __name__ == "__main__":
    main()
    print(table())
