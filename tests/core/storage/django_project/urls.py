from chat import views
from django.urls import path

urlpatterns = [
    path("say/", views.say),
    path("asay/", views.asay),
    path("recall/", views.recall),
    path("arecall/", views.arecall),
]
