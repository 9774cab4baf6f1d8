from aerodash.cli import web
from aerodash.management.part import PartCommand


class Command(PartCommand):
    part = web
    help = web.HELP
