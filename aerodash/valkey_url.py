"""Where Valkey is, as VALKEY_URL and its like write it: one server, or several nodes of one cluster."""

from urllib.parse import SplitResult, urlsplit, urlunsplit

SCHEMES = ("redis", "rediss", "unix")


def nodes(url: str) -> list[str]:
    """The address of each node that a URL names, with all else (user, database, parameters) as it stands.

    redis://user:password@one:6379,two:6379/0 names two. Raises ValueError, whose text says what is wrong with it.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it begins with none of {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("it names no socket: unix:///path/to/socket")
        return [url]
    login, at, hosts = parts.netloc.rpartition("@")
    found = [_one(parts, f"{login}{at}{host}") for host in hosts.split(",")]
    return [urlunsplit(node) for node in found]


def at(url: str, host: str, port: int) -> str:
    """The same URL for another node of the cluster."""
    parts = urlsplit(url)
    login, sign, _ = parts.netloc.rpartition("@")
    name = f"[{host}]" if ":" in host else host
    return urlunsplit(parts._replace(netloc=f"{login}{sign}{name}:{port}"))


def host(url: str) -> str:
    """The host that a URL with one node names; "" for a socket."""
    return urlsplit(url).hostname or ""


def address(url: str) -> str:
    """What tells the server of a URL with one node from others: host and port, or the socket's path; no password."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]


def _one(parts: SplitResult, netloc: str) -> SplitResult:
    node = parts._replace(netloc=netloc)
    try:
        _ = node.port
    except ValueError:
        raise ValueError("a port in it is no number up to 65535") from None
    if not node.hostname:
        raise ValueError("it names no host")
    return node
