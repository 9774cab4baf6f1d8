"""How views answer: the whole page, or for htmx the part of it that asked; what went wrong; and the way back."""

import logging
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme

from aerodash.errors import AeroDashError

log = logging.getLogger(__name__)

# Input of ours that is wrong is 400, as errors.py has it, on its own page. A form that comes back filled in, with what is
# wrong said in it, is this instead: a page one can go on from, which neither a cache nor a script takes for done.
FORM_AGAIN = 422


def answer(
    request: HttpRequest,
    page: str,
    context: Mapping[str, object],
    *,
    part: str = "live",
    status: int = 200,
    down: AeroDashError | None = None,
) -> HttpResponse:
    """Render a template, or for htmx its partial of the name `part`.

    down: why the page can show nothing now. The template has it as `down`; it decides the status and Retry-After.
    Django renders it in a thread of its own, after the view: a page takes milliseconds, in which the API would wait.
    """
    template = f"{page}#{part}" if request.htmx else page  # type: ignore[attr-defined]
    if down is None:
        return TemplateResponse(request, template, dict(context), status=status)
    response = TemplateResponse(request, template, {**context, "down": down}, status=down.status)
    return _say_when(response, down)


def problem(request: HttpRequest, exc: AeroDashError) -> HttpResponse:
    """The page, or for htmx the line on top of the page, that says what went wrong; the rest stays."""
    if exc.status >= 500:
        log.warning("%s %s: %s", request.method, request.path, exc.message)
    template = "console/problem.html#said" if request.headers.get("HX-Request") else "console/problem.html"
    return _say_when(render(request, template, {"problem": exc}, status=exc.status), exc)


def next_url(request: HttpRequest, otherwise: str) -> str:
    """Where the form that was sent wants to lead (its field `next`), if that is a page of ours."""
    wanted = request.POST.get("next", "")
    return wanted if is_ours(request, wanted) else otherwise


def is_ours(request: HttpRequest, url: str) -> bool:
    """Whether an address that came with a request leads to this console and nowhere else."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def _say_when(response: HttpResponse, exc: AeroDashError) -> HttpResponse:
    if exc.retry_after_s is not None:
        response["Retry-After"] = str(exc.retry_after_s)
    return response
