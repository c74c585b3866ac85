"""SPADE's generator has the published sizes, and with published weights the published outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import MemoryStore
from translate.networks.spade import SPADEGenerator, SPADESettings, doublings

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
OF_BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
WITHIN = (
    ("param_free_norm.", "norm."),
    ("mlp_shared.0.", "shared.conv."),
    ("mlp_gamma.", "gamma."),
    ("mlp_beta.", "beta."),
    ("norm_s.", "norm_shortcut."),
    ("conv_s.", "shortcut."),
    ("norm_0.", "norm1."),
    ("norm_1.", "norm2."),
    ("conv_0.", "conv1."),
    ("conv_1.", "conv2."),
    ("weight_orig", "parametrizations.weight.original"),
    ("weight_u", "parametrizations.weight.0._u"),
    ("weight_v", "parametrizations.weight.0._v"),
)


def _ours(key: str) -> str:
    first, _, rest = key.partition(".")
    if first in ("fc", "conv_img"):
        return f"{'stem' if first == 'fc' else 'head'}.{rest}"
    for theirs, ours in WITHIN:
        rest = rest.replace(theirs, ours)
    return f"blocks.{OF_BLOCKS.index(first)}.{rest}"


def iterated(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With one power iteration as the release's form of spectral norm takes it: v first, then u; torch's newer one
    takes u first, so that the two are alike only once they have converged."""
    state = dict(state)
    for key in [key for key in state if key.endswith("weight_orig")]:
        matrix, u, v = state[key].flatten(1), key.replace("_orig", "_u"), key.replace("_orig", "_v")
        state[v] = F.normalize(matrix.T @ state[u], dim=0, eps=1e-12)
        state[u] = F.normalize(matrix @ state[v], dim=0, eps=1e-12)
    return state


def iterating_no_more(network: nn.Module) -> nn.Module:
    """In training mode but for spectral norms, which have iterated."""
    network.train()
    for layer in (one for one in network.modules() if is_parametrized(one)):
        layer.parametrizations.eval()
    return network


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
@pytest.mark.parametrize(("name", "levels"), [("spade_generator_square", 5), ("spade_generator_wide_more", 6)])
def test_published_weights_give_the_published_outputs(name: str, levels: int) -> None:
    network = SPADEGenerator(6, 3, filters=4, hidden=8, levels=levels)
    state = torch.load(GOLDEN / f"{name}.pth", weights_only=True)
    network.load_state_dict({_ours(key): value for key, value in state.items()})
    with np.load(GOLDEN / f"{name}.npz") as file:
        known = {key: torch.from_numpy(file[key]) for key in file.files}
    planes = known["semantics"] * 2 - 1

    with torch.no_grad():
        assert (network.eval()(planes) - known["output_eval"]).abs().max() < 1e-5
        network.load_state_dict({_ours(key): value for key, value in iterated(state).items()})
        assert (iterating_no_more(network)(planes) - known["output_batch_statistics"]).abs().max() < 1e-5
    moved = network.get_buffer("blocks.3.norm1.norm.running_mean")
    assert (moved - known["running_mean_after_up_0_norm_0"]).abs().max() < 1e-5


def test_the_generator_has_the_published_size() -> None:
    """92.4 million for facades' 12 classes and an edge plane, as the released networks count (without u and v)."""
    with torch.device("meta"):
        network = SPADEGenerator(13, 3)
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(92.4e6, rel=1e-3)


def test_five_levels_double_where_published_and_others_at_the_end() -> None:
    assert doublings(5) == {1, 3, 4, 5, 6} and doublings(6) == {1, 2, 3, 4, 5, 6} and doublings(3) == {4, 5, 6}
    for levels in (1, 3, 5):
        network = SPADESettings(filters=1, hidden=2, levels=levels).initialised(4, 32)
        assert network(torch.zeros(2, 4, 64, 32)).shape == (2, 4, 64, 32)


def test_another_label_map_far_away_changes_nothing_near_with_frozen_statistics() -> None:
    """Scale and shift are local: with running statistics, only places within reach of a changed label change."""
    network = SPADESettings(filters=1, hidden=2, levels=1).initialised(3, 64).eval()
    one = -torch.ones(1, 3, 64, 64)
    other = one.clone()
    other[..., :4, :4] = 1
    with torch.no_grad():
        differ = (network(one) - network(other)).abs().amax((0, 1)) > 0
    assert differ[:4, :4].all() and not differ[48:, 48:].any()


@pytest.mark.parametrize("normalisation", ["batch", "instance", "none"])
def test_bands_of_rows_give_what_the_whole_map_gives(normalisation: str) -> None:
    network = SPADESettings(filters=2, hidden=3, levels=3, normalisation=normalisation).initialised(4, 64).eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
    planes = torch.randint(2, (1, 4, 64, 40)).float() * 2 - 1
    bands = Bands(8, planes.device, torch.contiguous_format, MemoryStore, RULES)
    with torch.no_grad():
        made = network(RowMap(planes.to("meta"), lambda top, bottom: planes[:, :, top:bottom], bands))
        assert (made.rows(0, 64) - network(planes)).abs().max() < 1e-5
