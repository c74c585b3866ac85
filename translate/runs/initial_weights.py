"""How a model begins: with random weights, or with those that `training.init_from` names."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from translate.errors import ConfigurationError, TranslateError
from translate.inference.formats import reader_of
from translate.models.base import ImageSpec, Model
from translate.networks.foreign import PortNetwork
from translate.networks.foreign_file import described, read_network
from translate.networks.settings import settings_of
from translate.networks.signatures import NamedError
from translate.networks.weights_file import UnsafeFileError
from translate.recipe import Recipe
from translate.runs.loading import build_model, checkpoint_in
from translate.runs.not_a_run import holds_model, port_files, require_model, require_run
from translate.training.state import State, load_weights


def begin_model(recipe: Recipe, images: ImageSpec, log: Callable[[str], None]) -> Model:
    """Builds the model as training begins with it: `build_model`, plus the weights of `training.init_from` if set.

    Those are of a run, a checkpoint or a hub folder, whose networks this one has, and perhaps others; or generators
    (and discriminators) in files of the PyTorch port, of CUT or of StarGAN: a folder of them, or one file. With
    `training.init_networks`, only those of this model that it names. Also raises ConfigurationError if they are missing
    or belong to other networks.
    """
    model, origin, chosen = build_model(recipe, images), recipe.training.init_from, recipe.training.init_networks
    if origin is None:
        _require_none_fixed(model)
        return model
    try:
        files = _files(Path(origin))
        if files and chosen:
            raise ConfigurationError("files of single networks; leave out training.init_networks, or give a run")
        begun = _from_files(model, files) if files else _from_run(model, Path(origin), chosen)
    except TranslateError as error:
        reason = str(error).removeprefix(f"{origin}: ")
        raise ConfigurationError(f"training.init_from {origin}: {reason}") from error
    log(f"{origin}: {begun} what this run begins with")
    return model


def _require_none_fixed(model: Model) -> None:
    if any(getattr(network, "fixed", False) for network in model.children()):
        raise ConfigurationError(
            "model.generator.fixed leaves a network as it begins, which is at random: give the run of the first stage "
            "as training.init_from, or set model.generator.fixed=false"
        )


def _files(origin: Path) -> list[Path]:
    """The files of the port to begin with; empty if `origin` is the folder of a run, or nothing of the kind."""
    if not origin.is_file():
        return [] if holds_model(origin) else port_files(origin)
    require_model(origin)
    if reader_of(origin).graph:
        raise ConfigurationError("a graph for other programs; give the folder of the run that it was exported from")
    return [origin]


def _from_run(model: Model, folder: Path, chosen: Mapping[str, str]) -> str:
    require_run(folder)
    found = checkpoint_in(folder, "latest")
    own, weights = _networks(name for name, _ in model.named_parameters()), dict(found.weights())
    theirs = _renamed(weights, chosen, own) if chosen else weights
    weights = _as_begun(model, theirs)
    known = _networks(weights)
    new = own - known if own & known else set()
    drawn = {name: value for name, value in model.state_dict().items() if _networks([name]) <= new}
    load_weights(model, drawn | weights)
    partly = {f"layers of {name}" for name in _networks(weights.keys() - theirs.keys())}
    rest = f" ({' and '.join(sorted(new | partly))} from random weights)" if new | partly else ""
    return f"its weights after step {found.step}{rest} are"


def _renamed(weights: State, chosen: Mapping[str, str], own: Collection[str]) -> dict[str, Tensor]:
    """The weights of the networks that are chosen, under the names of those that begin with them. Raises
    ConfigurationError for networks that are not there."""
    for here, there in chosen.items():
        for name, names in ((here, own), (there, _networks(weights))):
            if name not in names:
                raise ConfigurationError(
                    f"training.init_networks.{here}={there}: no network '{name}'; {' and '.join(sorted(names))} are"
                )
    return {
        f"{here}.{key.partition('.')[2]}": value
        for here, there in chosen.items()
        for key, value in weights.items()
        if key.partition(".")[0] == there
    }


def _as_begun(model: Model, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a run, with those of each network that can begin with another's as it does (`begun_with`)."""
    begun = dict(weights)
    for name, network in model.named_children():
        of_network = {key: value for key, value in weights.items() if key.startswith(f"{name}.")}
        if of_network and (begun_with := getattr(network, "begun_with", None)):
            taken = begun_with({key.removeprefix(f"{name}."): value for key, value in of_network.items()})
            begun = {key: value for key, value in begun.items() if key not in of_network}
            begun |= {f"{name}.{key}": value for key, value in taken.items()}
    return begun


def _networks(weights: Iterable[str]) -> set[str]:
    """The networks that weights of these names belong to."""
    return {name.partition(".")[0] for name in weights}


def _from_files(model: Model, files: Iterable[Path]) -> str:
    """Fills the networks that the files' names stand for; the others keep their random weights."""
    networks, filled = model.port_networks(), []
    for file in files:
        role = _role(file, networks)
        _fill(networks[role], file)
        filled.append(f"{role} of {file.name}")
    rest = sorted(networks.keys() - {word.split(" ")[0] for word in filled})
    random = f" ({' and '.join(rest)} start from random weights)" if rest else ""
    return f"{', '.join(filled)}{random}: that is"


def _role(file: Path, networks: dict[str, nn.Module]) -> str:
    """The network that the file is for: by its name, or the only generator."""
    for role in sorted(networks, key=len, reverse=True):
        if file.stem.endswith((f"_net_{role}", f"-{role}")):
            return role
    generators = [role for role in networks if role.startswith("G")]
    if len(generators) == 1:
        return generators[0]
    names = " or ".join(f"latest_net_{role}{file.suffix}" for role in generators)
    raise ConfigurationError(
        f"{file}: does not say which generator it is; name it {names} (G_A makes the second domain), or give the "
        "folder that holds them"
    )


def _fill(network: nn.Module, file: Path) -> None:
    """Copies the file's weights into the network. Raises ConfigurationError that says which settings would fit."""
    try:
        theirs = read_network(file)
    except UnsafeFileError as error:
        raise TranslateError(str(error)) from error
    except NamedError as error:
        raise ConfigurationError(f"{file}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: not a network of the PyTorch port, CUT or StarGAN ({error})") from error
    if getattr(network, "residual", False) or _layers(theirs) != _layers(network):
        raise ConfigurationError(
            f"{file}: {described(theirs)}, which is not the network of this recipe; {_fit(theirs)}"
        )
    network.load_state_dict(theirs.state_dict())


def _layers(network: nn.Module) -> list[str]:
    """The layers that hold weights or decide what they compute; dropout is free to differ."""
    return [line for line in repr(network).splitlines() if "ropout" not in line]


def _fit(theirs: PortNetwork) -> str:
    """The settings that build this network, as words for the command line."""
    words = " ".join(f"{key}={str(value).lower()}" for key, value in settings_of(theirs).items())
    return f"it would fit with {words}"
