"""Commands and groups whose help shows what an option takes as people read it.

A flag takes nothing, and choices stand apart, so that a narrow terminal breaks their list between two names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import CommandFunctionType


class _Legible:
    """What both have in common: typer asks for the parameters wherever it shows or reads them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, `--help` included; those that typer would name `<bool>` or `<a|b>` named by us."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for option in params:
            if isinstance(option, TyperOption) and option.metavar is None:
                option.metavar = "" if option.is_flag else option.display_type(ctx).replace("|", " | ")
        return params


class Command(_Legible, TyperCommand):
    """One command."""


class Group(_Legible, TyperGroup):
    """Commands under one name."""


class Program(typer.Typer):
    """A group as it is declared, of such commands."""

    def __init__(self, *, cls: type[Group] = Group, **told: Any) -> None:
        """What `typer.Typer` takes; without a word, the help is shown."""
        super().__init__(cls=cls, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", **told)

    def command(self, *name: Any, **told: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """As `typer.Typer.command`."""
        return super().command(*name, cls=Command, **told)
