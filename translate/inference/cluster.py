"""What a user may choose of the machines that convert, read without importing torch."""

from dataclasses import dataclass

from translate.utils.options import option


@dataclass(frozen=True)
class ClusterOptions:
    """Where a folder is converted, if not on this machine alone."""

    ray: str | None = option(
        None,
        metavar="auto|local|HOST:PORT",
        help="Convert a folder on a Ray cluster: the one that this machine is part of, one of its own on this machine, "
        "or that of the head at HOST:PORT. All machines need the same folders, and pip install image-translate[ray].",
    )
    cpus_per_worker: int = option(
        1, least=1, most=1024, help="With --ray: cores for each process; each holds a model in memory."
    )
