"""What the runtime's options change: the way, and not the result."""

import pytest
import torch
from tiny import CPU, TINY, paired_folder, random_batch, tiny_model, tiny_trainer
from torch import nn

from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.training.cuda_graphs import WARM_UP, GraphedStep
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.runtime import Runtime, choose_runtime
from translate.training.state import training_state
from translate.training.trainer import Trainer

# Relative errors of all gradients to float64; measured here: 1e-5 and 0.5. Signs of L1 and ReLU amplify rounding; a
# gradient that is wrong, as that of torch's own instance norm in channels last, is off by 1.3.
FLOAT32, BF16 = 1e-4, 0.7
DICELESS = {
    "cyclegan": TINY["cyclegan"] | {"pool": 0},
    "pix2pix": TINY["pix2pix"],
}


def gradients(name: str, runtime: Runtime, dtype: torch.dtype = torch.float32, steps: int = 1) -> torch.Tensor:
    """Every gradient of the first steps, in one vector."""
    model = tiny_model(name, settings=DICELESS[name])
    for network in model.children():
        for weight in network.parameters():
            weight.data.mul_(5)  # away from the small weights of the start, at which little depends on anything
    runtime.adopt(model.to(dtype).train())
    if runtime.compiled:
        runtime.compile(net for turn in model.turns() if turn.trains_generators for net in turn.networks)
    optimizers = {
        key: build_optimizer(network, "adam", 1e-5, (0.5, 0.999), 0.0, fused=runtime.fused)
        for key, network in model.named_children()
        if list(network.parameters())
    }
    found = {weight: [] for weight in model.parameters()}
    for weight in found:
        weight.register_post_accumulate_grad_hook(lambda weight: found[weight].append(weight.grad.double().flatten()))
    trainer = Trainer(model, optimizers, runtime)
    for step in range(steps):
        trainer.step(random_batch(model, size=1, seed=step).map(lambda values: runtime.layout(values.to(dtype))))
    return torch.cat([gradient for seen in found.values() for gradient in seen])


def error(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return ((ours - exact).norm() / exact.norm()).item()


OPTIONS = {
    "plain": (Runtime(CPU.device, fused=False), FLOAT32),
    "channels last": (Runtime(CPU.device, channels_last=True, fused=False), FLOAT32),
    "fused": (Runtime(CPU.device, fused=True), FLOAT32),
    "products": (Runtime(CPU.device, fused=False, conv_as_matmul=True), FLOAT32),
    "products, channels last": (Runtime(CPU.device, channels_last=True, fused=False, conv_as_matmul=True), FLOAT32),
    "bf16": (Runtime(CPU.device, bf16=True, fused=False), BF16),
    "all": (Runtime(CPU.device, bf16=True, channels_last=True, fused=True, conv_as_matmul=True), BF16),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", DICELESS)
def test_an_option_changes_the_gradients_by_rounding_only(name, option):
    runtime, tolerance = OPTIONS[option]
    assert error(gradients(name, runtime), gradients(name, Runtime(CPU.device), torch.float64)) < tolerance


def test_compiled_networks_have_the_same_gradients(monkeypatch):
    compiled = []
    real = nn.Module.compile

    def compile_quickly(module, **options):
        compiled.append(type(module).__name__)
        real(module, backend="aot_eager", **options)  # inductor would take a minute

    monkeypatch.setattr(nn.Module, "compile", compile_quickly)
    ours = gradients("cyclegan", Runtime(CPU.device, compiled=True), steps=2)
    assert compiled
    exact = gradients("cyclegan", Runtime(CPU.device), torch.float64, steps=2)
    assert error(ours, exact) < 10 * FLOAT32  # the second step's differ by the first one's rounding, too
    torch.compiler.reset()


def test_what_cannot_be_compiled_is_an_error_and_not_silently_eager():
    class Halves(nn.Module):
        def forward(self, values):
            torch._dynamo.graph_break()
            return values + 1

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Halves()

        def forward(self, values):
            return self.part(values)

    network = Network()
    Runtime(CPU.device, compiled=True).compile([network])
    with pytest.raises(torch._dynamo.exc.Unsupported):
        network(torch.ones(2))
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("plain", {"bf16": False, "channels_last": False, "fused": False}),
        ("plain,bf16", {"bf16": True, "channels_last": False, "fused": False}),
        ("auto,no-bf16,no-channels-last", {"bf16": False, "channels_last": False, "fused": True}),
        ("auto,compiled", {"channels_last": True, "fused": True, "compiled": True, "cuda_graphs": False}),
    ],
)
def test_options_are_chosen_by_name(options, expected):
    runtime = choose_runtime("cpu", "auto", options)
    assert {name: getattr(runtime, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("fast", "expected auto or plain first"),
        ("auto,bf61", "did you mean 'bf16'"),
        ("auto,cuda-graphs", "CUDA graphs need a CUDA device"),
        ("auto,captured", "CUDA graphs need a CUDA device"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        choose_runtime("cpu", "auto", options)


@pytest.mark.parametrize("fast", [True, False])
def test_a_precision_that_is_asked_for_is_taken_whatever_the_processor_has(monkeypatch, fast):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast)
    found = [choose_runtime("cpu", precision).bf16 for precision in ("bf16", "float32", "auto")]
    assert found == [True, False, fast]


def test_the_runtime_says_its_options(monkeypatch):
    assert str(Runtime(CPU.device, bf16=True, fused=False)) == "cpu, 1 thread, bf16, channels first"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert str(CPU).startswith("cpu, 2 threads, ")
    assert str(Runtime(CPU.device, channels_last=True)).endswith("float32, channels last, fused Adam")


def test_the_command_line_chooses_the_runtime(run_cli, tiny_recipe, tmp_path):
    data = paired_folder(tmp_path / "data")
    options = ["--data", data, "--wandb", "disabled", "--device", "cpu", "--engine"]
    result = run_cli("train", tiny_recipe("pix2pix"), *options, "plain", "--out", tmp_path / "plain")
    assert result.exit_code == 0 and "float32, channels first\n" in result.output
    result = run_cli("train", tiny_recipe("pix2pix"), *options, "plain,channels-lost", "--out", tmp_path / "other")
    assert result.exit_code == 2 and "did you mean 'channels-last'" in result.output


class Replayed:
    """Stands in for CUDA graphs: what is recorded is called again."""

    def __init__(self):
        self.warm, self.recorded, self.replays = 0, 0, 0

    def warm_up(self, work):
        self.warm += 1
        work()

    def record(self, work):
        self.recorded += 1

        def replay():
            self.replays += 1
            work()

        return replay


def adam_steps(optimizer: torch.optim.Optimizer, weight: torch.Tensor, gradients: list[torch.Tensor]) -> torch.Tensor:
    for gradient in gradients:
        weight.grad = gradient.to(weight.dtype)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("gradients_lie", ["as their weights", "otherwise", "in no simple order"])
@pytest.mark.parametrize("last", [True, False], ids=["channels last", "channels first"])
@pytest.mark.parametrize("shape", [(6, 4, 3, 2), (6, 4, 1, 1), (6, 1, 3, 3), (1, 4, 3, 3), (6,), (6, 4)])
def test_fused_adam_moves_every_weight_by_its_own_gradient(shape, last, gradients_lie):
    """torch's own moves the wrong weights where strides differ."""
    formats = [torch.contiguous_format, torch.channels_last] if len(shape) == 4 else [torch.contiguous_format] * 2
    exact = nn.Parameter(torch.randn(shape, dtype=torch.float64))
    layer = nn.Module()
    layer.weight = nn.Parameter(exact.detach().float().contiguous(memory_format=formats[last]))
    gradients = [torch.randn(shape) for _ in range(3)]
    theirs = torch.optim.Adam([exact], lr=0.1, betas=(0.5, 0.999), weight_decay=0.01)
    ours = build_optimizer(layer, "adam", 0.1, (0.5, 0.999), 0.01, fused=True)
    if gradients_lie == "in no simple order":
        given = [gradient.transpose(0, -1).contiguous().transpose(0, -1) for gradient in gradients]
    else:
        order = formats[last if gradients_lie == "as their weights" else not last]
        given = [gradient.contiguous(memory_format=order) for gradient in gradients]
    expected = adam_steps(theirs, exact, gradients)
    address = layer.weight.data_ptr()
    torch.testing.assert_close(adam_steps(ours, layer.weight, given).double(), expected, rtol=1e-5, atol=1e-6)
    assert layer.weight.data_ptr() == address
    assert ours.state[layer.weight]["exp_avg"].stride() == layer.weight.stride()


def test_fused_adam_copies_no_gradient():
    layer = nn.Conv2d(64, 32, 4).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(layer, "adam", 0.1, (0.5, 0.999), 0.0, fused=True)
    layer.weight.grad, layer.bias.grad = torch.ones_like(layer.weight), torch.ones_like(layer.bias)
    optimizer.step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        optimizer.step()
    allocated = sum(max(event.self_device_memory_usage, event.self_cpu_memory_usage, 0) for event in profile.events())
    assert allocated < layer.weight.nbytes / 2


def _laid_out(values):
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values


@pytest.mark.parametrize("name", MODELS)
def test_recorded_steps_are_the_steps_of_the_training(name):
    def trainer_of():
        model = tiny_model(name)
        average = WeightAverage({"model": model}, 0.9)
        return tiny_trainer(model, average=average, seed=5, curve=lambda step: 1 / (1 + step))

    eager, recorded, recorder = trainer_of(), trainer_of(), Replayed()
    recorded.program = GraphedStep(recorded.program, recorder)
    steps = 12
    for step in range(steps):
        for trainer in (eager, recorded):
            trainer.step(random_batch(trainer.model, seed=step))
    kinds = 1 if max(turn.every for turn in eager.model.turns()) == 1 else 2
    assert (recorder.recorded, recorder.warm + recorder.replays) == (kinds, steps)
    assert recorder.warm == WARM_UP * kinds
    mine, theirs = ({**t.model.state_dict(), **t.average.values, **training_state(t)} for t in (recorded, eager))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert recorded.read_losses() == eager.read_losses()


def test_another_shape_of_batch_is_another_recording():
    trainer, recorder = tiny_trainer(tiny_model("cyclegan")), Replayed()
    trainer.program = GraphedStep(trainer.program, recorder)
    for size in [1, 2] * (WARM_UP + 1):
        trainer.step(random_batch(trainer.model, size=size))
    assert recorder.recorded == 2


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_steps_captured_on_cuda_are_the_eager_ones(name):
    def trainer_of(cuda_graphs):
        model = tiny_model(name)
        runtime = Runtime(torch.device("cuda"), cuda_graphs=cuda_graphs)
        runtime.adopt(model.train())
        optimizers = {
            key: build_optimizer(network, "adam", 1e-3, (0.5, 0.999), 0.0)
            for key, network in model.named_children()
            if any(network is moved for turn in model.turns() for moved in turn.networks)
        }
        return Trainer(model, optimizers, runtime, seed=5)

    eager, cuda_graphs = trainer_of(False), trainer_of(True)
    for step in range(12):
        for trainer in (eager, cuda_graphs):
            trainer.step(trainer.runtime.place(random_batch(trainer.model, seed=step)))
    for key, value in eager.model.state_dict().items():
        torch.testing.assert_close(cuda_graphs.model.state_dict()[key], value, rtol=1e-3, atol=1e-4)
    assert cuda_graphs.read_losses() == pytest.approx(eager.read_losses(), rel=1e-3)
