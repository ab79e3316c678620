"""The object store's places, as fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from manatee.store import Blobs
from manatee.store._blobs._interface import Place
from manatee.store._blobs._objects import ObjectsPlace, objects_at
from manatee.store._database import Database
from manatee.store._engines import open_engines
from manatee.testing import SettableClock

from ._azurite import CONTAINER, azurite
from ._blob_places import SECRET, bucket_place
from ._s3 import BUCKET, FaultyFront, S3Server
from ._swift import KEY, USER, swift


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with S3Server.started() as running:
        yield running


@pytest.fixture
def front(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyFront]:
    """A server between us and the bucket that does as it is told."""
    server.empty()
    with FaultyFront.before(server.url) as standing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", standing.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield standing


@pytest.fixture(scope="session")
def swift_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with swift(tmp_path_factory.mktemp("swift"), BUCKET) as url:
        yield url


@pytest.fixture
def in_swift(
    swift_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FaultyFront]:
    """A front before Swift; places opened meanwhile go through it."""
    with FaultyFront.before(swift_url) as standing:
        monkeypatch.setenv("AWS_ENDPOINT_URL", standing.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", USER)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield standing


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with azurite(tmp_path_factory.mktemp("azurite")):
        yield


@pytest.fixture
def container(azure: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectsPlace:
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    prefix = tmp_path.name
    return objects_at(f"az+http://{CONTAINER}/{prefix}", patience=timedelta(seconds=5), again=1)


@pytest.fixture
def open_blobs(tmp_path: Path) -> Iterator[Callable[[Place], Blobs]]:
    database = Database(open_engines("", tmp_path))
    yield lambda place: Blobs(database, place, tmp_path / "blobs" / "incoming", SettableClock())
    database.close()


@pytest.fixture
def in_bucket(front: FaultyFront, open_blobs: Callable[[Place], Blobs]) -> Blobs:
    return open_blobs(bucket_place())
