"""The `trivet` program: its commands, its errors, its exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from trivet.config.suggestion import nearest
from trivet.errors import ConfigError, TrivetError, render, wants_colour

COMMANDS: Final = {
    "serve": "Serve an app: web server, application server, and what the framework knows.",
    "files": "Serve the files of a folder, without an app.",
    "check": "Check the configuration, and load the app once in a process that is thrown away.",
    "config": "Show each option with its value and where it came from.",
    "routes": "List what is done with which requests, in the order in which they are looked at.",
    "explain": "Say what becomes of a request, and why; or what an error code means.",
    "status": "Show how the running stand is.",
    "reload": "Let new workers take over in the running stand.",
    "scale": "Have more or fewer workers in the running stand.",
    "stop": "Stop the running stand.",
    "incidents": "List what went wrong in the running stand, or show one of them in full.",
    "stack": "Show where the code of each worker of the running stand is just now.",
    "healthcheck": "Exit with 0 if the running stand answers requests.",
}
"""The commands and their one line of help, so that listing them imports none of them."""

_ALIASES: Final = {"run": "serve"}


def main(arguments: Sequence[str]) -> int:
    """Run a command and return the exit code.

    0 is fine, 2 usage or configuration, 3 the app did not load, 1 anything else, 130 Ctrl-C.
    """
    try:
        result = program.main(list(arguments), prog_name="trivet", standalone_mode=False)
    except TrivetError as error:
        return _fail(error)
    except click.exceptions.Exit as wanted:
        return int(wanted.exit_code)
    except click.UsageError as problem:
        return _fail(_usage_error(problem))
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more can be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _fail(error: TrivetError) -> int:
    click.echo(render(error, colour=wants_colour(sys.stderr, os.environ)), err=True, color=True)
    return error.exit_code


def _usage_error(problem: click.UsageError) -> ConfigError:
    message = problem.format_message().strip().rstrip(".")
    command = problem.ctx.command_path if problem.ctx else "trivet"
    return ConfigError(
        f"{message[:1].lower()}{message[1:]}".replace("'", "`"),
        code="usage.bad_argument",
        hint=f"{command} --help",
    )


class Program(click.Group):
    """The group of all commands; each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List what the help shows."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import a command."""
        name = _ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"trivet.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was meant."""
        word = args[0]
        if not word.startswith("-") and self.get_command(ctx, word) is None:
            raise ConfigError(
                f"no such command `{word}`", code="usage.unknown_command", hint=_meant(word)
            )
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options in front of the command."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as problem:
            raise ConfigError(
                f"no such option `{problem.option_name}`",
                code="usage.unknown_option",
                hint=f"an option stands behind its command: trivet serve {problem.option_name}",
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _meant(word: str) -> str:
    if ":" in word or word.endswith(".py"):
        return f"trivet serve {word}"
    meant = nearest(word, [*COMMANDS, *_ALIASES])
    return f"did you mean `trivet {meant}`?" if meant else "trivet --help lists them"


def _print_version(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401, ARG001 - click's signature
    if value and not ctx.resilient_parsing:
        import trivet

        system, _, _, _, machine = os.uname()
        python = ".".join(map(str, sys.version_info[:3]))
        click.echo(f"Trivet {trivet.__version__} (Python {python}, {system} {machine})")
        ctx.exit()


@click.group(
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of Trivet and Python, and exit.",
)
@click.pass_context
def program(ctx: click.Context) -> None:
    """Trivet serves Python web apps: `trivet serve` finds the app and holds it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
