"""Django as `startproject` makes it: migrations, the admin, its static files; WSGI and ASGI."""

import http.cookiejar
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stand import Stand, clean_environment, start

MODELS = """
from django.db import models

class Item(models.Model):
    name = models.CharField(max_length=50)
    picture = models.FileField(upload_to="pictures", blank=True)

    def __str__(self):
        return self.name
"""
ADMIN = """
from django.contrib import admin
from stock.models import Item

admin.site.register(Item)
"""
URLS = """
from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls), *staticfiles_urlpatterns()]
"""


def django(folder: Path, *arguments: str, **env: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=clean_environment(env),
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with an app, as the tutorial does, and a user."""
    folder = tmp_path_factory.mktemp("django")
    django(folder, "-m", "django", "startproject", "site_", ".")
    django(folder, "manage.py", "startapp", "stock")
    (folder / "stock/models.py").write_text(MODELS)
    (folder / "stock/admin.py").write_text(ADMIN)
    (folder / "site_/urls.py").write_text(URLS)
    with (folder / "site_/settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS.append("stock")\nMEDIA_ROOT = BASE_DIR / "media"\n')
    django(folder, "manage.py", "makemigrations", "stock")
    django(folder, "manage.py", "migrate")
    user = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_EMAIL": "ada@example.org"}
    password = {"DJANGO_SUPERUSER_PASSWORD": "a long one"}
    django(folder, "manage.py", "createsuperuser", "--noinput", **user, **password)
    return folder


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def stand(request: pytest.FixtureRequest, project: Path) -> Iterator[Stand]:
    running = start(f"site_.{request.param}:application", "--workers", "2", cwd=project)
    try:
        yield running
        assert running.stop() == 0, running.describe()
        assert "Traceback" not in running.describe()
    finally:
        running.kill()


class Browser:
    """Keeps cookies, follows redirections, and sends the forms that it was given."""

    def __init__(self, stand: Stand) -> None:
        self._origin = f"http://127.0.0.1:{stand.port}"
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        self.url = ""

    def get(self, path: str) -> str:
        return self._read(urllib.parse.urljoin(self._origin, path))

    def submit(self, page: str, **values: str) -> str:
        """Send the form of the page that is shown, with its token."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token, page
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], **values}).encode()
        return self._read(self.url, data)

    def _read(self, url: str, data: bytes | None = None) -> str:
        with self._opener.open(url, data, timeout=20) as response:
            self.url = response.url
            return str(response.read().decode())


@pytest.fixture
def admin(stand: Stand) -> Browser:
    browser = Browser(stand)
    page = browser.get("/admin/")
    assert "/admin/login/" in browser.url
    page = browser.submit(page, username="ada", password="a long one", next="/admin/")
    assert "Site administration" in page
    return browser


def test_an_object_is_made_changed_and_deleted(admin: Browser) -> None:
    page = admin.submit(admin.get("/admin/stock/item/add/"), name="Tripod", _save="Save")
    assert "was added successfully" in page
    link = re.search(r'href="(/admin/stock/item/\d+/change/)"', page)
    assert link
    page = admin.submit(admin.get(link[1]), name="Trivet é €", _save="Save")
    assert "was changed successfully" in page
    assert 'value="Trivet é €"' in admin.get(link[1])
    delete = link[1].replace("change", "delete")
    page = admin.submit(admin.get(delete), post="yes")
    assert "was deleted successfully" in page


def test_a_form_without_its_token_is_refused(stand: Stand, admin: Browser) -> None:
    admin.get("/admin/")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = stand.request("POST", "/admin/login/", b"username=ada", form)
    assert answer.status == 403
    assert "CSRF" in answer.text


def test_a_wrong_password_is_refused(stand: Stand) -> None:
    browser = Browser(stand)
    page = browser.submit(browser.get("/admin/"), username="ada", password="a wrong one")
    assert "Please enter the correct" in page


def test_the_admins_static_files_are_whole(stand: Stand) -> None:
    import django.contrib.admin  # noqa: PLC0415 - for its folder

    folder = Path(django.contrib.admin.__file__).parent / "static"
    for name in ("admin/css/base.css", "admin/js/vendor/jquery/jquery.js", "admin/img/search.svg"):
        answer = stand.get(f"/static/{name}")
        assert (answer.status, answer.body) == (200, (folder / name).read_bytes())


def test_a_page_that_is_not_there_is_djangos_own(stand: Stand) -> None:
    answer = stand.get("/nowhere")
    assert answer.status == 404
    assert "Using the URLconf defined in" in answer.text
