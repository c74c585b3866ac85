"""`translate explain` and `translate schema`: what settings mean, for people and for editors."""

import json

import click

from translate.cli.common import with_plugins
from translate.cli.completing import EXPLAINED
from translate.utils.printing import answer, answer_in_words, then

WIDTH = 101
"""Of what is explained where there is no terminal."""


@click.command()
@click.argument("word", metavar="WORD", type=EXPLAINED)
@with_plugins
def explain(word: str) -> None:
    """Say what WORD means: a key of recipes or the end of one, a section, a value, a method, a network or a recipe.

    \b
    translate explain training.ema
    translate explain pix2pix
    """
    from translate.recipe.explaining import explained

    for line in explained(word):
        answer_in_words(line, WIDTH)


@click.command()
@with_plugins
def schema() -> None:
    """Print the JSON schema of recipes, with which editors complete and check them.

    \b
    translate schema > recipe.schema.json
    and as the first line of a recipe: # yaml-language-server: $schema=recipe.schema.json
    """
    from translate.recipe.schema import json_schema

    answer(json.dumps(json_schema(), indent=1))
    then("keep it as recipe.schema.json, and begin a recipe with # yaml-language-server: $schema=recipe.schema.json")
