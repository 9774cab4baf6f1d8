"""`aerodash web`: the HTTP and websocket server, one process or several, as the settings say."""

import argparse
import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from typing import Any

from aerodash.cli import environment, lifeline

HELP = "serve the API and the console"
DRAIN_S = 20  # for a process that hangs: aerodash.asgi cuts off requests that do not end long before that
NOTICE_S = 0.3
SWITCH_INTERVAL_S = 0.0005
"""How long a busy loop keeps the interpreter from the database's writing threads, which let it go at every row: at
Python's own 5 ms a group of inserts took ten times as long."""
# Long polls and open pages each hold a connection, so the bound is far above the work that runs at once; what
# is too much work is refused by the engines' own queues.
CONNECTIONS_PER_PROCESS = 16_384


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was begun. Raises CannotStart."""
    environment.check_web(environment.settings())
    lifeline.hold()
    settings = environment.django()
    from granian.constants import HTTPModes, Interfaces, RuntimeModes
    from granian.log import LogLevels

    from aerodash import database
    from aerodash.cli import migrating

    migrating.apply()
    if multiprocessing.get_start_method() == "fork":
        from aerodash.asgi import application  # noqa: F401 - once, here: the forked processes share it
    database.let_go()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # inherited: a server process may not listen to it yet
    server = _server_class()(
        "aerodash.asgi:application",
        address=settings.AERODASH_HOST,
        port=settings.AERODASH_PORT,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # and websockets; a proxy in front speaks HTTP/2 to browsers
        runtime_mode=RuntimeModes.st,
        workers=settings.AERODASH_WEB_PROCESSES,
        backlog=2048,
        backpressure=CONNECTIONS_PER_PROCESS,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_S,
    )
    server.serve(target_loader=load)


def _server_class() -> type:
    from granian.server.mp import MPServer

    class Server(MPServer):
        """Granian, which before it stops its processes tells them so: see aerodash.asgi."""

        def _stop_workers(self) -> None:
            for worker in self.wrks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.inner.pid, signal.SIGUSR1)
            time.sleep(NOTICE_S)
            super()._stop_workers()

    return Server


def load(target: str) -> Any:
    """The ASGI application; called first thing in each server process."""
    # The parent's handlers came along with the fork; a stop before granian sets its own would be swallowed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_follow, args=(os.getppid(),), name="parent", daemon=True).start()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    from aerodash.asgi import application

    # What is loaded stays: without this each full collection walks all of it, and every caller waits meanwhile.
    gc.collect()
    gc.freeze()
    return application


def _follow(parent: int) -> None:
    """Stop once the parent was killed: a server process left alone would keep the port, and nobody could stop it."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(NOTICE_S)
    os.kill(os.getpid(), signal.SIGTERM)
