from aerodash.cli import keeper
from aerodash.management.part import PartCommand


class Command(PartCommand):
    part = keeper
    help = keeper.HELP
