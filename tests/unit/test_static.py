"""What pages name under static/ is there."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "static"


def vendor_script():
    loader = importlib.machinery.SourceFileLoader("vendor_script", str(ROOT / "scripts" / "vendor"))
    spec = importlib.util.spec_from_loader("vendor_script", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def named_files() -> set[str]:
    named = set()
    for path in ROOT.glob("templates/**/*.html"):
        named.update(re.findall(r"{% static ['\"]([^'\"]+)['\"] %}", path.read_text()))
    for path in STATIC.glob("css/*.css"):
        named.update(f"css/{url}" for url in re.findall(r'url\("(\.\./[^"]+)"\)', path.read_text()))
    for path in STATIC.glob("js/*.js"):
        named.update(
            f"js/{url}" for url in re.findall(r'(?:from|import) "(\.{1,2}/[^"]+)"', path.read_text())
        )
    return named


@pytest.mark.parametrize("name", sorted(named_files()))
def test_named_file_is_there(name: str) -> None:
    assert (STATIC / name).is_file()


def test_every_icon_in_use_is_in_the_sprite() -> None:
    from aerodash.templatetags.aerodash_ui import SPRITE

    there = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / SPRITE).read_text()))

    assert vendor_script().used_icons() <= there, "run scripts/vendor icons"


def test_every_vendored_folder_has_its_licence() -> None:
    for folder in (STATIC / "vendor").iterdir():
        assert (folder / "LICENSE").is_file(), folder.name


def test_style_sheet_is_cut_to_what_can_match() -> None:
    vendor = vendor_script()
    css = '.btn:hover,.card .btn{a:b}@media (x){.form-control{c:d}.nav{e:f}}body{g:url("a{b")}.card{h:i}@keyframes spin{to{x:y}}'

    assert vendor.cut_sheet(css) == '.btn:hover{a:b}@media (x){.form-control{c:d}}body{g:url("a{b")}'
