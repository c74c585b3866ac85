"""Reads from wandb's settings and environment whether it is wanted, without importing it or using the network."""

import configparser
import netrc
import os
from urllib.parse import urlsplit

from translate.errors import ConfigurationError
from translate.utils.user_paths import expanded

_MODES = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}
# Two addresses of the public server: a key stored for one works for the other.
_PUBLIC_HOSTS = ("api.wandb.ai", "api.forge.coreweave.com")


def mode_here() -> str:
    """WANDB_MODE, else what `wandb online|offline|disabled` stored, else online if there is a key, else disabled.

    Raises ConfigurationError if WANDB_MODE or the stored mode is not a valid mode.
    """
    mode = os.environ.get("WANDB_MODE") or _settings().get("mode")
    if mode is None:
        return "online" if has_key() else "disabled"
    if mode not in _MODES:
        raise ConfigurationError(
            f'WANDB_MODE, or the mode that wandb stored, is "{mode}"; expected online, offline or disabled'
        )
    return _MODES[mode]


def has_key() -> bool:
    """Whether wandb would find a key or a token for its server without prompting."""
    stored = _settings()
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or stored.get("api_key"):
        return True
    address = os.environ.get("WANDB_BASE_URL") or stored.get("base_url")
    host = urlsplit(address).netloc if address else _PUBLIC_HOSTS[0]
    return _netrc_knows(_PUBLIC_HOSTS if host in _PUBLIC_HOSTS else (host,))


def _netrc_knows(hosts: tuple[str, ...]) -> bool:
    named = os.environ.get("NETRC")
    try:
        usual = [expanded(name) for name in ((named,) if named else ("~/.netrc", "~/_netrc"))]
        entries = netrc.netrc(next(filter(os.path.exists, usual), usual[0]))
    except (OSError, netrc.NetrcParseError, ConfigurationError):  # no such file, none that can be read, no home
        return False
    return any((entry := entries.authenticators(host)) and entry[2] for host in hosts)


def _settings() -> dict[str, str]:
    """The settings file that wandb's command line writes; empty if missing or unreadable."""
    folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(expanded(folder) / "settings")
    except (OSError, UnicodeDecodeError, configparser.Error, ConfigurationError):  # the last: there is no home
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}
