"""scripts/bootstrap finds a Python that works, and says what to do where there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "cmp", "dirname")


class Machine:
    """A copy of what bootstrap reads, and a PATH that has a few tools and whatever Pythons a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.bin = folder / "bin"
        self.pyenv = folder / "pyenv"
        for name in (
            "scripts/bootstrap",
            "scripts/install.py",
            "pyproject.toml",
            "sdk/python/pyproject.toml",
        ):
            (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.repository / name)
        for name in ("requirements.lock", "requirements-test.lock"):
            (self.repository / name).write_text(f"# {name}\n")
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def python(self, path: Path, *, version: tuple[int, int] | None) -> None:
        """A Python that says it has this version and notes how it is called; None: a pyenv shim that fails."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if version is None:
            script = 'echo "pyenv: command not found" >&2; exit 127'
        else:
            fits = 0 if version >= (3, 12) else 1
            script = f'[ "$1" = -c ] && exit {fits}; echo "$0 $*"; cat'
        path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        path.chmod(0o755)

    def bootstrap(self, kind: str = "run") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.repository / "scripts/bootstrap", kind],
            env={"PATH": str(self.bin), "HOME": "/nonexistent", "PYENV_ROOT": str(self.pyenv)},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_python_it_says_what_to_install(machine: Machine):
    machine.python(machine.bin / "python3.13", version=None)
    machine.python(machine.bin / "python3", version=(3, 11))
    ended = machine.bootstrap()
    assert ended.returncode == 1
    assert "needs Python 3.12 or newer" in ended.stderr
    assert "uv python install" in ended.stderr
    assert ended.stdout == ""


def test_it_takes_the_newest_on_the_path(machine: Machine):
    machine.python(machine.bin / "python3.14", version=None)
    machine.python(machine.bin / "python3.13", version=(3, 13))
    machine.python(machine.bin / "python3.12", version=(3, 12))
    assert machine.bootstrap().stdout.startswith(
        f"{machine.bin}/python3.13 scripts/install.py run requirements.lock"
    )


def test_it_looks_under_pyenv_when_the_path_has_only_shims_and_old_ones(machine: Machine):
    machine.python(machine.bin / "python3.12", version=None)
    machine.python(machine.bin / "python3", version=(3, 10))
    under = machine.pyenv / "versions"
    machine.python(under / "3.11.7" / "bin" / "python", version=(3, 11))
    machine.python(under / "3.12.1" / "bin" / "python", version=(3, 12))
    machine.python(under / "3.13.0" / "bin" / "python", version=(3, 13))
    assert machine.bootstrap("test").stdout.startswith(
        f"{under}/3.13.0/bin/python scripts/install.py test requirements-test.lock"
    )


@pytest.mark.parametrize(
    ("installed", "kind", "again"),
    [("run", "run", False), ("test", "test", False), ("test", "run", False), ("run", "test", True)],
)
def test_it_installs_only_what_is_not_there(machine: Machine, installed: str, kind: str, again: bool):
    machine.python(machine.bin / "python3", version=(3, 13))
    _installed(machine, installed)
    assert bool(machine.bootstrap(kind).stdout) is again


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml", "sdk/python/pyproject.toml"])
def test_it_installs_again_when_what_it_depends_on_changed(machine: Machine, changed: str):
    machine.python(machine.bin / "python3", version=(3, 13))
    _installed(machine, "test")
    with (machine.repository / changed).open("a") as file:
        file.write("# changed\n")
    assert "scripts/install.py run" in machine.bootstrap().stdout


def test_an_interrupted_installation_is_not_taken_for_a_whole_one(machine: Machine):
    machine.python(machine.bin / "python3", version=(3, 13))
    _installed(machine, "run")
    (machine.repository / ".venv" / "installing").touch()
    assert "scripts/install.py run" in machine.bootstrap().stdout


def _installed(machine: Machine, kind: str) -> None:
    """As if the kind were installed: the stamp is what bootstrap hands to the installer."""
    first, _, stamp = machine.bootstrap(kind).stdout.partition("\n")
    assert "install.py" in first
    machine.python(machine.repository / ".venv" / "bin" / "python", version=(3, 13))
    (machine.repository / ".venv" / f"installed-{kind}").write_text(stamp)
