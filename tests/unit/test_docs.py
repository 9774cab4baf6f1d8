"""The documents name what the code has: a setting that nobody can find is no setting."""

import re
from pathlib import Path

from aerodash import health
from aerodash.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "aerodash" / "settings.py").read_text(encoding="utf-8")
DOCUMENT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

READ = set(re.findall(r"""\benv(?:_\w+)?\(\s*["']([A-Z][A-Z0-9_]+)["']""", SETTINGS))
DOCUMENTED = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", DOCUMENT, re.MULTILINE))


def test_the_search_finds_settings_of_every_kind():
    assert {"AERODASH_DATA", "AERODASH_PORT", "AERODASH_EXPRESS", "SECRET_KEY", "VALKEY_URL"} <= READ


def test_every_setting_is_documented():
    assert sorted(READ - DOCUMENTED) == []


def test_nothing_documented_as_a_setting_is_unknown_to_the_code():
    before_programs = DOCUMENT.partition("## For programs and tests")[0]
    documented = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", before_programs, re.MULTILINE))
    assert sorted(documented - READ) == []


def test_every_command_is_documented_and_no_other():
    document = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `aerodash (\w+)` \|", document, re.MULTILINE)) == set(COMMANDS)


def test_the_paths_that_load_balancers_ask_are_documented():
    document = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(/\w+)` \|", document, re.MULTILINE)) == health.PATHS


def test_the_documents_of_commands_and_settings_are_linked():
    for document in ("README.md", "docs/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert "commands.md)" in text, document
    assert "settings.md)" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")


def test_what_running_needs_is_pinned_alike_for_tests():
    pins = [
        set(re.findall(r"^([a-z0-9-]+==[^ ;\\]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-test.lock")
    ]
    assert sorted(pins[0] - pins[1]) == []


def test_every_make_target_that_a_document_names_is_there_once():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(targets)) == sorted(targets)
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(document.read_text(encoding="utf-8") for document in documents)
    named = re.findall(r"(?:`|^ *)make ([a-z-]+)", text, re.MULTILINE)
    assert {"run", "test", "chaos"} <= set(named)
    assert sorted(set(named) - set(targets)) == []
