"""Django's door to the parts of the `aerodash` command."""

import argparse
from types import ModuleType
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aerodash.errors import AeroDashError


class PartCommand(BaseCommand):
    """`manage.py <part>`: the same as `aerodash <part>`. part: its module in aerodash.cli."""

    part: ClassVar[ModuleType]
    requires_system_checks: ClassVar[list[str]] = []

    def add_arguments(self, parser: CommandParser) -> None:
        self.part.arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            code = self.part.run(argparse.Namespace(**options))
        except AeroDashError as exc:
            raise CommandError(exc.message) from exc
        if code:
            raise SystemExit(code)
