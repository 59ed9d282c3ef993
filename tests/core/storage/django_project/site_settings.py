import json
import os

DATABASES = {"default": {**json.loads(os.environ["SITE_DATABASE"]), "ATOMIC_REQUESTS": True}}
INSTALLED_APPS = ["chat", "memori.storage.django"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "urls"
SECRET_KEY = "nobody"
STATIC_URL = "/static/"
USE_TZ = True
