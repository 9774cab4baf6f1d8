"""The console's own pages; those of a project live in the apps, under p/<slug>/."""

from django.urls import path

from aerodash.console.views import home, operations, sign_in

urlpatterns = [
    path("", home.home, name="home"),
    path("theme", home.theme, name="theme"),
    path("sign-in", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-in/<str:token>", sign_in.sign_in_link, name="sign-in-link"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("p/<slug:slug>/operations", operations.operation_list, name="operations"),
    path("p/<slug:slug>/operations/<str:id>", operations.operation, name="operation"),
    path("p/<slug:slug>/operations/<str:id>/stop", operations.operation_stop, name="operation-stop"),
]
