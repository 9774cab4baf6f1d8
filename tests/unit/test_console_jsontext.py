"""JSON on a page: coloured, digit for digit, up to a size that is counted in bytes."""

from aerodash.console.jsontext import PRETTY_BYTES, pretty


def test_every_token_stays_as_it_was_written() -> None:
    shown = pretty('{"a":[9007199254740993,1.10,{}],"b":"x<y"}')
    assert '<span class="ad-m">9007199254740993</span>' in shown
    assert '<span class="ad-m">1.10</span>' in shown
    assert '<span class="ad-k">&quot;a&quot;</span>: [\n' in shown
    assert '<span class="ad-s">&quot;x&lt;y&quot;</span>' in shown


def test_long_text_is_measured_in_bytes_and_left_as_it_is() -> None:
    shorter, longer = '"' + "é" * (PRETTY_BYTES // 2 - 1) + '"', '"' + "é" * (PRETTY_BYTES // 2) + '"'
    assert "<span" in pretty(shorter)
    assert "<span" not in pretty(longer)
