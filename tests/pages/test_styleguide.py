"""/styleguide: every component in every state, for those who build pages; in debug mode only."""

import pytest
from django.test import Client

from aerodash.templatetags.aerodash_ui import STATUS

PAGES = {"confirm": 200, "confirm-again": 422, "no-permission": 403, "engine-down": 503, "not-possible": 400}


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


@pytest.mark.parametrize("path", ["/styleguide", "/styleguide/confirm"])
def test_is_not_there_in_production(path):
    response = Client().get(path)

    assert response.status_code == 404


@pytest.mark.usefixtures("debug")
def test_shows_every_word_every_state_and_every_tone():
    page = Client().get("/styleguide").text

    for word in STATUS:
        assert f"</svg>{word}</span></dt><dd>" in page, word
    for state in ("connecting", "live", "paused", "behind", "degraded", "restarting", "lost"):
        assert f'data-state="{state}"' in page
    for level in ("success", "info", "warning", "error"):
        assert f'data-toast="{level}"' in page
    for environment in ("production", "staging", "development"):
        assert f"ad-band ad-demo ad-{environment}" in page
    assert page.count("data-figures=") == 3
    assert "Nothing was counted in this time" in page


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_can_be_asked_for(theme):
    assert f'data-bs-theme="{theme}"' in Client().get("/styleguide", {"theme": theme}).text


@pytest.mark.usefixtures("debug")
@pytest.mark.parametrize("name", PAGES)
def test_states_that_are_pages(name):
    assert Client().get(f"/styleguide/{name}").status_code == PAGES[name]


@pytest.mark.usefixtures("debug")
def test_page_without_a_state_is_not_found():
    assert Client().get("/styleguide/nothing-here").status_code == 404


@pytest.mark.usefixtures("debug")
def test_many_projects_can_be_searched():
    assert 'data-shortens="projects"' in Client().get("/styleguide").text


@pytest.mark.usefixtures("debug")
def test_no_id_stands_twice():
    import re
    from collections import Counter

    page = re.sub(r"(?s)<template.*?</template>", "", Client().get("/styleguide").text)
    twice = [id for id, n in Counter(re.findall(r'\sid="([^"]+)"', page)).items() if n > 1]

    assert twice == []


@pytest.mark.usefixtures("debug")
def test_has_neither_inline_style_nor_inline_script():
    import re

    page = Client().get("/styleguide").text

    assert not re.search(r"\sstyle=|\son[a-z]+=|<style", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
