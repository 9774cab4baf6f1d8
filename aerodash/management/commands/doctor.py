from aerodash.cli import doctor
from aerodash.management.part import PartCommand


class Command(PartCommand):
    part = doctor
    help = doctor.HELP
