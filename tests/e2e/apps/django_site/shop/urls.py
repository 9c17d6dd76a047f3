"""The project's paths and views."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path


def index(request: Any) -> Any:
    return HttpResponse(f"{request.method} {request.get_full_path()}")


def count(request: Any) -> Any:
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"count": request.session["count"]})


def file(_: Any) -> Any:
    return FileResponse(Path(os.environ["FOLDER"], "large.bin").open("rb"))


def stream(_: Any) -> Any:
    def lines() -> Iterator[str]:
        for number in range(3):
            yield f"{number}\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


def upload(request: Any) -> Any:
    sent = request.FILES["file"]
    return JsonResponse({"name": sent.name, "size": sent.size, "note": request.POST["note"]})


def boom(_: Any) -> Any:
    raise LookupError("in a Django view")


urlpatterns = [
    path("", index),
    path("count", count),
    path("file", file),
    path("stream", stream),
    path("upload", upload),
    path("boom", boom),
]
