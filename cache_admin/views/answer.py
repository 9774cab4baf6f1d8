"""How the views of this app answer: the whole page, or for htmx the part of it that asked."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def answer(
    request: HttpRequest, page: str, context: dict[str, object], *, part: str = "live", status: int = 200
) -> HttpResponse:
    """Render templates/cache_admin/<page>, or its partial for htmx. The response varies on the header that decides."""
    template = f"cache_admin/{page}#{part}" if request.htmx else f"cache_admin/{page}"  # type: ignore[attr-defined]
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    if status == 503:
        response["Retry-After"] = "1"
    return response
