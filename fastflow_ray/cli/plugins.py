"""Commands that floors above, or other packages, bring along: entry points of the group `fastflow_ray.commands`.

Nothing of a plugin is imported before it is called; its line in `--help` is read from its source.
"""

from __future__ import annotations

import ast
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from typer.core import TyperCommand
from typer.main import get_command

from fastflow_ray.cli.program import Group, Program

GROUP = "fastflow_ray.commands"  # name → "module:function", with the function's parameters as typer reads them


class Commands(Group):
    """Our own commands, in the order of their declaration, then the plugins by name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names; a plugin cannot take one of ours."""
        return [*self.commands, *sorted(entry_points(group=GROUP).names - self.commands.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Our command, the plugin's stand-in, or None."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        return next((Plugin(plugin) for plugin in entry_points(group=GROUP, name=cmd_name)), None)


class Plugin(TyperCommand):
    """Stands in for a command until it is called."""

    def __init__(self, plugin: EntryPoint) -> None:
        super().__init__(plugin.name, help=_first_line(plugin))
        self._plugin = plugin

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command, then let it read its own arguments. Raises ModuleNotFoundError if an extra is missing."""
        alone = Program()
        alone.command(self._plugin.name)(self._plugin.load())
        return get_command(alone).make_context(info_name, args, parent, **extra)


def _first_line(plugin: EntryPoint) -> str:
    """Of the function's docstring; empty where there is no source to read it from."""
    package = plugin.module.partition(".")[0]
    spec = find_spec(plugin.module) if find_spec(package) else None
    source = getattr(spec.loader, "get_source", None) if spec else None
    text = source(plugin.module) if source else None
    functions = (node for node in ast.parse(text or "").body if isinstance(node, ast.FunctionDef))
    ours = next((node for node in functions if node.name == plugin.attr), None)
    return (ast.get_docstring(ours) or "").partition("\n")[0] if ours else ""
