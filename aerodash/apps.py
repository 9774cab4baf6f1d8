from django.apps import AppConfig


class AeroDashConfig(AppConfig):
    name = "aerodash"
