"""What `translate serve` and `watch` may be told: where they listen, and how much; read without importing torch."""

from dataclasses import dataclass

from translate.utils.options import option


@dataclass(frozen=True)
class Listening:
    """Where a server listens."""

    host: str = option(
        "127.0.0.1",
        metavar="ADDRESS",
        help="Where to listen. On any address but this computer's own, 0.0.0.0 for example, the printed link holds a "
        "token that the server asks for.",
    )
    port: int = option(8000, least=0, most=65535, help="0 takes one that is free.")


@dataclass(frozen=True)
class WatchingOptions(Listening):
    """Where the page is, and for whom."""

    port: int = option(8001, least=0, most=65535, help="0 takes one that is free.")
    token: bool = option(False, help="Ask for a token on this computer, too, where other users work on it.")


@dataclass(frozen=True)
class ServingOptions(Listening):
    """Where the server listens, and its limits."""

    max_bytes: int = option(50_000_000, metavar="N", least=1, help="Largest file that is taken.")
    max_pixels: int = option(50_000_000, metavar="N", least=1, most=89_478_485, help="Largest picture that is taken.")
    waiting: int = option(
        32, metavar="N", least=1, help="Pictures that wait while one is translated; others are asked to come back."
    )
    timeout: int = option(
        300, metavar="SECONDS", least=1, help="After so long a picture is given up; also for its upload alone."
    )
    loaded: int = option(2, metavar="N", least=1, help="Models and checkpoints held in memory; others are read again.")
