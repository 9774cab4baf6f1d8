"""What pages name under static/ is there, and small enough."""

import gzip
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
        named.update(f"js/{url}" for url in re.findall(r'(?:from|import) "\./([^"]+)"', path.read_text()))
    return named


@pytest.mark.parametrize("name", sorted(named_files()))
def test_named_file_is_there(name: str) -> None:
    assert (STATIC / name).is_file()


def test_every_icon_in_use_is_in_the_sprite() -> None:
    from aerodash.templatetags.aerodash_ui import SPRITE

    there = set(re.findall(r'<symbol id="([^"]+)"', (STATIC / SPRITE).read_text()))

    assert vendor_script().used_icons() <= there, "run scripts/vendor icons"


def test_compressed_files_are_those_beside_them() -> None:
    for packed in STATIC.rglob("*.gz"):
        assert gzip.decompress(packed.read_bytes()) == packed.with_suffix("").read_bytes(), packed.name


def test_every_vendored_folder_has_its_licence() -> None:
    for folder in (STATIC / "vendor").iterdir():
        assert (folder / "LICENSE").is_file(), folder.name


def test_first_visit_is_at_most_250_kb() -> None:
    files = [STATIC / name for name in named_files() if not name.endswith(".svg")] + [
        *STATIC.rglob("icons.svg")
    ]

    def sent(path: Path) -> int:
        packed = path.with_name(f"{path.name}.gz")
        return (packed if packed.exists() else path).stat().st_size

    assert sum(sent(path.resolve()) for path in set(files)) <= 250_000


def test_style_sheet_is_cut_to_what_can_match() -> None:
    vendor = vendor_script()
    css = '.btn:hover,.card .btn{a:b}@media (x){.form-control{c:d}.nav{e:f}}body{g:url("a{b")}.card{h:i}@keyframes spin{to{x:y}}'

    assert vendor.cut_sheet(css) == '.btn:hover{a:b}@media (x){.form-control{c:d}}body{g:url("a{b")}'
