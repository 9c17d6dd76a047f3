"""Flags made from the definitions of the options, and what all commands do with them."""

from __future__ import annotations

import os
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from trivet.cli import foreign
from trivet.config import Loaded, Settings, load
from trivet.config.option import Definition, definitions, without_none
from trivet.config.reference import default_text
from trivet.errors import Notice, render, wants_colour


class ConfiguredCommand(click.Command):
    """A command that takes the flags of all options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and answer habits from other servers with the option that was meant."""
        foreign.check_collisions(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as problem:
            known = [name for param in self.get_params(ctx) for name in param.opts]
            raise foreign.unknown_option(problem.option_name, known) from None
        except click.UsageError as problem:
            problem.ctx = problem.ctx or ctx
            raise


def configured(name: str, *, takes_app: bool = True) -> Callable[..., Any]:
    """Make a command with the flags of all options; it is called with the click parameters."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        for each in reversed(definitions(Settings)):
            if each.option.flag:
                function = _flag(each)(function)
        function = click.option(
            *foreign.IGNORED, "worker_class", hidden=True, multiple=True, metavar="CLASS"
        )(function)
        function = click.option(
            "-c", "--config", "config", metavar="FILE", help="Configuration file to read."
        )(function)
        if takes_app:
            function = click.argument("app", required=False)(function)
        return click.command(
            name,
            cls=ConfiguredCommand,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )(function)

    return decorate


def load_configuration(parameters: Mapping[str, Any]) -> Loaded:
    """Load the configuration from a command's parameters, and print what it has to tell."""
    loaded = loader(parameters)()
    notices = list(loaded.notices)
    if parameters.get("worker_class"):
        chosen = ", ".join(parameters["worker_class"])
        message = f"ignored `--worker-class {chosen}`: the app's interface decides"
        notices.append(Notice("note", message, "usage.foreign_option"))
    for notice in notices:
        text = render(notice, colour=wants_colour(sys.stderr, os.environ))
        click.echo(text, err=True, color=True)
    return loaded


def loader(parameters: Mapping[str, Any]) -> Callable[[], Loaded]:
    """Return what loads the configuration, each time from the same flags, variables and folder."""
    flags = {name.replace("__", "."): value for name, value in parameters.items()}
    environ, folder = dict(os.environ), Path.cwd()
    return lambda: load(flags, environ, folder)


def _flag(definition: Definition) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    option = definition.option
    names = [name for name in (option.short, option.flag, *option.aliases) if name]
    bare, _ = without_none(definition.type)
    shown = default_text(definition)
    text = f"{option.doc}  [default: {shown}]" if shown else option.doc
    parameter = definition.path.replace(".", "__")
    if bare is bool:
        switch = f"{option.flag}/{option.off}" if option.off else str(option.flag)
        return click.option(switch, parameter, is_flag=True, default=None, help=text)
    many = typing.get_origin(bare) in {tuple, dict}
    return click.option(
        *names, parameter, metavar=option.metavar, help=text, multiple=many, default=None
    )
