"""All settings, from the environment, with defaults that run on a laptop. docs/settings.md lists them.

A wrong value stops the start and names its variable. A secret may come from a file: NAME_FILE instead of NAME.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from aerodash import database_url, private, valkey_url

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """The variable's value, or the content of the file that NAME_FILE names, or the default."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {exc.strerror}.") from exc
        if not value:
            raise ImproperlyConfigured(f"{name}_FILE: {path} is empty.")
        return value
    return os.environ.get(name, default)


def env_bool(name: str, default: bool) -> bool:
    value = env(name, "1" if default else "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name}: {value!r} is neither 1 nor 0.")


def env_int(name: str, default: int, low: int, high: int) -> int:
    value = env(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}: {value!r} is not a whole number.") from None
    if not low <= number <= high:
        raise ImproperlyConfigured(f"{name}: {number} is not between {low} and {high}.")
    return number


def env_choice(name: str, default: str, choices: set[str]) -> str:
    value = env(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name}: {value!r} is none of {', '.join(sorted(choices))}.")
    return value


def env_url(name: str, default: str) -> str:
    """An origin as browsers write it: http or https, a host, perhaps a port, no slash at the end."""
    value = env(name)
    if not value:
        return default
    try:
        parts = urlsplit(value)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        whole = False
    if not whole:
        raise ImproperlyConfigured(f"{name}: {value!r} is no address like https://console.example.com.")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise ImproperlyConfigured(f"{name}: {value!r} has more than a scheme, a host and a port.")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


AERODASH_DATA = Path(env("AERODASH_DATA", str(BASE_DIR / "var"))).resolve()
AERODASH_HOST = env("AERODASH_HOST", "127.0.0.1")
AERODASH_PORT = env_int("AERODASH_PORT", 8787, 1, 65535)
AERODASH_EXPRESS = env_bool("AERODASH_EXPRESS", True)
DATABASES = {
    "default": database_url.parse(env("DATABASE_URL") or f"sqlite:///{AERODASH_DATA / 'aerodash.sqlite3'}")
}
DATABASE_KIND = database_url.kind(DATABASES["default"])  # "sqlite" or "postgres"
# SQLite has one writer; PostgreSQL has work for every core.
_PROCESSES = 1 if DATABASE_KIND == "sqlite" else min(cores(), 64)
AERODASH_WEB_PROCESSES = env_int("AERODASH_WEB_PROCESSES", _PROCESSES, 1, 64)
AERODASH_APPENDFSYNC = env_choice("AERODASH_APPENDFSYNC", "everysec", {"everysec", "always"})
# How long ended jobs are kept, for types that do not say.
AERODASH_KEEP_COMPLETED_DAYS = env_int("AERODASH_KEEP_COMPLETED_DAYS", 7, 1, 3650)
AERODASH_KEEP_FAILED_DAYS = env_int("AERODASH_KEEP_FAILED_DAYS", 30, 1, 3650)
AERODASH_KEEP_CANCELLED_DAYS = env_int("AERODASH_KEEP_CANCELLED_DAYS", 7, 1, 3650)
# In an address, and in a Host header, an IPv6 host stands in brackets.
_HOST = f"[{AERODASH_HOST}]" if ":" in AERODASH_HOST else AERODASH_HOST
AERODASH_PUBLIC_URL = env_url("AERODASH_PUBLIC_URL", f"http://{_HOST}:{AERODASH_PORT}")


def _secret_key() -> str:
    """SECRET_KEY, else the one kept in the data folder since the first start."""
    if key := env("SECRET_KEY"):
        return key
    private.folder(AERODASH_DATA)
    path = AERODASH_DATA / "secret-key"
    if not path.exists():
        private.write_once(path, secrets.token_urlsafe(48))
    key = path.read_text(encoding="ascii").strip()
    if not key:
        raise ImproperlyConfigured(
            f"SECRET_KEY: {path} is empty; restore it, or remove it to have a new one made."
        )
    return key


def env_valkey(name: str, default: str = "") -> str:
    value = env(name, default)
    try:
        if value:
            valkey_url.nodes(value)
    except ValueError as exc:
        raise ImproperlyConfigured(f"{name}: {exc}.") from None  # without the value: it may hold a password
    return value


def _valkey_url() -> str:
    """VALKEY_URL, else where the embedded server of this data folder said that it listens."""
    if url := env_valkey("VALKEY_URL"):
        return url
    try:
        return (AERODASH_DATA / "valkey" / "url").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return f"unix://{AERODASH_DATA / 'valkey' / 'valkey.sock'}"


SECRET_KEY = _secret_key()
VALKEY_URL = _valkey_url()
VALKEY_REPLICA_URL = env_valkey("VALKEY_REPLICA_URL")
CHANNELS_URL = env_valkey("CHANNELS_URL", valkey_url.nodes(VALKEY_URL)[0])
DEBUG = env_bool("AERODASH_DEBUG", False)

_public = urlsplit(AERODASH_PUBLIC_URL)
ALLOWED_HOSTS = [h for h in env("AERODASH_ALLOWED_HOSTS").split(",") if h] or [
    "localhost",
    "127.0.0.1",
    "[::1]",
    _HOST,
    _public.netloc.removesuffix(f":{_public.port}"),
]
CSRF_TRUSTED_ORIGINS = [AERODASH_PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "aerodash_session"
CSRF_COOKIE_NAME = "aerodash_csrf"

INSTALLED_APPS = [
    "aerodash",
    "cache_admin",
    "jobs_admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "ninja",
    "allauth",
    "allauth.account",
]

MIDDLEWARE = [
    "aerodash.middleware.contract_headers",
    "aerodash.middleware.request_id",
    "aerodash.middleware.compressed_pages",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
APPEND_SLASH = False
ROOT_URLCONF = "aerodash.urls"
ASGI_APPLICATION = "aerodash.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "aerodash.console.context.console",
            ],
        },
    },
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the wire layer bounds API bodies itself, with its own error

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [CHANNELS_URL], "prefix": "aerodash"},
    },
}

AUTH_USER_MODEL = "aerodash.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in"

# Every page is under this policy; the nonce is for htmx's hx-csp extension, which strips what does not carry it.
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "manifest-src": [CSP.SELF],
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # nothing is uploaded
    "staticfiles": {"BACKEND": "aerodash.static_files.NamedByContent"},
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
USE_THOUSAND_SEPARATOR = True

LOG_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env_choice("AERODASH_LOG_LEVEL", "WARNING", LOG_LEVELS)},
    # Whoever asks a database that is away says so; the pool would add a line for each of its attempts.
    "loggers": {"psycopg.pool": {"level": "ERROR"}},
}
