"""The console's own pages; those of a project live in the apps, under p/<slug>/."""

from django.urls import path
from django.views.generic import RedirectView

from aerodash.console.views import (
    audit,
    home,
    keys,
    members,
    operations,
    overview,
    search,
    sign_in,
    styleguide,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("theme", home.theme, name="theme"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("styleguide/<slug:name>", styleguide.styleguide_page, name="styleguide-page"),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-in/<str:token>", sign_in.sign_in_link, name="sign-in-link"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("p/<slug:slug>", RedirectView.as_view(pattern_name="overview")),
    path("p/<slug:slug>/", RedirectView.as_view(pattern_name="overview"), name="project"),
    path("p/<slug:slug>/search", search.search, name="search"),
    path("p/<slug:slug>/overview", overview.overview, name="overview"),
    path("p/<slug:slug>/operations", operations.operation_list, name="operations"),
    path("p/<slug:slug>/operations/<str:id>", operations.operation, name="operation"),
    path("p/<slug:slug>/operations/<str:id>/stop", operations.operation_stop, name="operation-stop"),
    path("p/<slug:slug>/audit", audit.audit_page, name="audit"),
    path("p/<slug:slug>/audit/export", audit.audit_export, name="audit-export"),
    path("p/<slug:slug>/audit/<int:id>", audit.audit_line, name="audit-line"),
    path("p/<slug:slug>/settings", RedirectView.as_view(pattern_name="keys"), name="settings"),
    path("p/<slug:slug>/settings/keys", keys.key_list, name="keys"),
    path("p/<slug:slug>/settings/keys/new", keys.key_new, name="key-new"),
    path("p/<slug:slug>/settings/keys/<int:id>/revoke", keys.key_revoke, name="key-revoke"),
    path("p/<slug:slug>/settings/members", members.member_list, name="members"),
    path("p/<slug:slug>/settings/members/<int:id>/role", members.member_role, name="member-role"),
    path("p/<slug:slug>/settings/members/<int:id>/link", members.member_link, name="member-link"),
    path("p/<slug:slug>/settings/members/<int:id>/remove", members.member_remove, name="member-remove"),
]
