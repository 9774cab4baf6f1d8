"""Signing in by password or by one-time link, and signing out."""

from allauth.account.adapter import get_adapter
from django import forms
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from aerodash.console import links

_BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInForm(AuthenticationForm):
    """Name and password; allauth counts failures per person and per address and refuses further tries for a while."""

    username = forms.CharField(
        label="Name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"class": "form-control", "autocomplete": "username", "autofocus": True}
        ),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"class": "form-control", "autocomplete": "current-password"}),
    )
    error_messages = {  # noqa: RUF012 - the base class has it so
        "invalid_login": "This name and password do not belong together. Check both: capitals count.",
        "inactive": "This person may not sign in any more.",
    }

    def clean(self) -> dict[str, object]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is not None and password:
            self.user_cache = get_adapter(self.request).authenticate(
                self.request, username=username, password=password
            )
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        return self.cleaned_data


class SignIn(LoginView):
    """/sign-in: afterwards on to `next`, if that is a page of ours."""

    authentication_form = SignInForm
    template_name = "console/sign_in.html"
    redirect_authenticated_user = True


@never_cache
def sign_in_link(request: HttpRequest, token: str) -> HttpResponse:
    """/sign-in/<token>: GET shows a button, POST uses the link up, so that link previews do not."""
    if request.method == "POST":
        user = links.consume(token)
        if user is not None:
            login(request, user, backend=_BACKEND)
            return redirect("home")
    elif (link := links.find(token)) is not None:
        return render(request, "console/sign_in_link.html", {"link": link})
    return render(request, "console/sign_in_link.html", {"link": None}, status=410)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """/sign-out: end the session, then the sign-in page. POST only, so that no link can do it."""
    logout(request)
    return HttpResponseRedirect("/sign-in")
