from aerodash.cli import key
from aerodash.management.part import PartCommand


class Command(PartCommand):
    part = key
    help = key.HELP
