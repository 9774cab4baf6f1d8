"""The command line without a server: its list, its help, its refusals."""

import subprocess
import sys

import pytest

from aerodash.cli import children
from aerodash.cli.children import Pause
from aerodash.cli.main import COMMANDS, main


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert COMMANDS[command].HELP.split("(")[0].strip()[:30] in " ".join(capsys.readouterr().out.split())


def test_an_unknown_command_is_refused_with_the_list(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["launch"])
    assert ended.value.code == 2
    assert "'up'" in capsys.readouterr().err


def test_asking_for_help_does_not_start_django():
    check = (
        "import sys, aerodash.cli.main\n"
        "heavy = {'django', 'redis', 'granian', 'asyncio', 'http.client'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_part_that_keeps_dying_is_started_ever_more_slowly_and_a_steady_one_soon(monkeypatch):
    now = 0.0
    monkeypatch.setattr(children.time, "monotonic", lambda: now)
    pause = Pause()
    taken = []
    for _ in range(9):
        pause.started()
        now += 1
        taken.append(pause.take())
    assert taken == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    pause.started()
    now += 61
    assert pause.take() == 0.5
