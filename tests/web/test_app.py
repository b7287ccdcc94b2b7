"""The HTTP API in-process: what it answers, what it refuses, and that it lives on."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from importlib import metadata

import cv2
import httpx2
import msgspec
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

import seyolo
from helpers.fixed_backend import FACE_BOX, HAND_BOX, BrokenBackend, FixedBackend, image, served
from seyolo.commands.serve import LOCAL_NAMES, sample_image
from seyolo.errors import UsageError
from seyolo.options.detect import ServeOptions
from seyolo.web.answers import Found, Health, Models, Question, Refusal
from seyolo.web.app import make_app
from seyolo.web.uploads import workers_for

HOST = "http://127.0.0.1:8000"


def app_of(*backends: FixedBackend, limits: ServeOptions | None = None) -> Starlette:
    models = [served(backend, f"model{number}") for number, backend in enumerate(backends, 1)]
    return make_app(models, limits or ServeOptions(), ["127.0.0.1"])


@pytest.fixture
def client() -> TestClient:
    return TestClient(app_of(FixedBackend(), FixedBackend("openvino")), base_url=HOST)


def assert_refused(response: httpx2.Response, status: int, part: str) -> None:
    """One line of JSON with `part` in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "\n" not in response.text
    assert list(response.json()) == ["error"]
    assert part in response.json()["error"]


def test_a_image_as_the_body_gives_boxes_in_its_pixels(client: TestClient) -> None:
    answer = client.post("/detect", content=image()).json()
    assert (answer["model"], answer["width"], answer["height"]) == ("model1", 128, 96)
    hand, face = answer["detections"]
    assert (hand["name"], hand["class_id"], hand["box"]) == ("hand", 0, HAND_BOX)
    assert (face["name"], face["class_id"], face["box"]) == ("face", 1, FACE_BOX)
    assert (hand["score"], face["score"]) == pytest.approx((0.9, 0.4))
    assert answer["latency_ms"].keys() == {"decode", "detect"}
    assert min(answer["latency_ms"].values()) >= 0


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_a_form_gives_the_same_whatever_the_field_is_called(client: TestClient, ending: str) -> None:
    body = client.post("/detect", content=image(ending)).json()
    form = client.post("/detect", files={"any": ("../../x", image(ending))}).json()
    assert form["detections"] == body["detections"] != []


def test_a_image_that_curl_calls_a_form_is_still_a_image(client: TestClient) -> None:
    header = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/detect", content=image(), headers=header).status_code == 200


@pytest.mark.parametrize(("confidence", "count"), [(0.1, 2), (0.4, 2), (0.41, 1), (1, 0)])
def test_confidence_is_the_smallest_score(client: TestClient, confidence: float, count: int) -> None:
    answer = client.post("/detect", params={"confidence": confidence}, content=image()).json()
    assert len(answer["detections"]) == count


def test_iou_decides_which_boxes_go() -> None:
    class Twice(FixedBackend):
        def infer(self, batch):  # type: ignore[no-untyped-def]
            # Two hands of 20x10, five pixels apart: 15 · 10 of 25 · 10 pixels, an IoU of 0.6.
            raw = super().infer(batch)
            raw[:, 1] = raw[:, 0]
            raw[:, 1, 0] += 5
            return raw

    client = TestClient(app_of(Twice()), base_url=HOST)
    counts = [
        len(client.post("/detect", params={"iou": iou}, content=image()).json()["detections"])
        for iou in (0.55, 0.65)
    ]
    assert counts == [1, 2]


def test_the_model_is_chosen_by_name(client: TestClient) -> None:
    assert client.post("/detect?model=model2", content=image()).json()["model"] == "model2"
    assert_refused(client.post("/detect?model=model3", content=image()), 404, "there are model1, model2")


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("confidence=1.5", "confidence must be a number from 0 to 1, got '1.5'"),
        ("confidence=nan", "confidence must be"),
        ("iou=-0.1", "iou must be"),
        ("iou=", "iou must be"),
        ("iou=high", "got 'high'"),
        ("conf=0.5", "unknown option 'conf'; there are model, confidence, iou"),
        ("iou=0.5&iou=0.6", "iou is given 2 times"),
    ],
)
def test_options_that_make_no_sense_are_refused(client: TestClient, query: str, part: str) -> None:
    assert_refused(client.post(f"/detect?{query}", content=image()), 400, part)


def png_of(width: int, height: int) -> bytes:
    """A whole PNG of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


UPLOADS = {
    "nothing": (b"", 400, "no image"),
    "text": (b"hello", 415, "send a JPEG, PNG or WebP"),
    "another kind": (image(".bmp"), 415, "send a JPEG, PNG or WebP"),
    "half a JPEG": (image()[:3000], 422, "truncated"),
    "half a PNG": (image(".png")[:3000], 422, "truncated"),
    "a PNG without pixels": (png_of(20, 20), 422, "damaged"),
    "a huge PNG": (png_of(50_000, 50_000), 413, "2500.0 megapixels, at most 50 are taken"),
}


@pytest.mark.parametrize("name", UPLOADS)
@pytest.mark.parametrize("is_form", [False, True])
def test_what_is_no_image_is_refused_and_the_service_lives_on(
    client: TestClient, name: str, is_form: bool
) -> None:
    data, status, part = UPLOADS[name]
    body = {"files": {"picture": data}} if is_form else {"content": data}
    assert_refused(client.post("/detect", **body), status, part)
    assert client.post("/detect", content=image()).status_code == 200


def huge_jpeg() -> bytes:
    data = bytearray(image())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


def huge_webp() -> bytes:
    data = bytearray(image(".webp"))
    assert data[12:16] == b"VP8L"
    data[21:25] = b"\xff\xff\xff\x0f"
    return bytes(data)


@pytest.mark.parametrize(
    "bomb", [png_of(50_000, 50_000), huge_jpeg(), huge_webp()], ids=["png", "jpeg", "webp"]
)
def test_huge_images_are_refused_before_they_are_decoded(
    client: TestClient, bomb: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("was decoded")

    monkeypatch.setattr("seyolo.web.uploads.decode_image", decoded)
    assert_refused(client.post("/detect", content=bomb), 413, "megapixels")


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ({"files": [("a", image()), ("b", image())]}, "Too many files"),
        ({"files": {"a": image()}, "data": {"confidence": "0.5"}}, "Too many fields"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}}, "Invalid"),
    ],
)
def test_forms_hold_one_file_and_nothing_else(client: TestClient, form: dict[str, object], part: str) -> None:
    assert_refused(client.post("/detect", **form), 400, part)  # type: ignore[arg-type]


def test_a_bug_of_ours_tells_nobody_more_and_the_service_lives_on() -> None:
    client = TestClient(app_of(BrokenBackend(), FixedBackend()), base_url=HOST, raise_server_exceptions=False)
    assert_refused(client.post("/detect", content=image()), 500, "a bug of ours")
    assert client.post("/detect?model=model2", content=image()).status_code == 200


def test_models_and_health(client: TestClient) -> None:
    first, second = client.get("/models").json()["models"]
    assert (first["name"], first["runtime"], first["input_size"]) == ("model1", "onnxruntime", [64, 64])
    assert [item["name"] for item in first["classes"]] == ["hand", "face"]
    # Hue 140 as `annotate.class_colour` draws it: mostly green, and black text on it.
    assert first["classes"][0] == {"name": "hand", "colour": "#1eff69", "text": "#000000"}
    assert (second["name"], second["runtime"]) == ("model2", "openvino")
    assert client.get("/health").json() == {"status": "ok", "version": metadata.version("seyolo")}


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/models", "/detect"])
def test_every_answer_has_the_headers_and_none_opens_it_to_other_sites(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"Origin": "https://elsewhere.example"})
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_foreign_name_for_this_machine_is_refused(client: TestClient) -> None:
    assert client.get("/models", headers={"Host": "rebound.example"}).status_code == 400
    local = TestClient(make_app([served(FixedBackend())], ServeOptions(), LOCAL_NAMES))
    for host, status in (("localhost:8000", 200), ("[::1]:8000", 200), ("testserver", 400)):
        assert local.get("/models", headers={"Host": host}).status_code == status
    anyone = TestClient(make_app([served(FixedBackend())], ServeOptions()), base_url="http://any.example")
    assert anyone.get("/models").status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd", "/app.py"]
)
def test_no_file_but_the_pages_own_is_given_out(client: TestClient, path: str) -> None:
    assert_refused(client.get(path), 404, "Not Found")


def test_methods_that_are_not_there(client: TestClient) -> None:
    assert_refused(client.get("/detect"), 405, "Method Not Allowed")
    assert_refused(client.post("/models"), 405, "Method Not Allowed")


def test_the_description_is_that_of_this_service(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert description["info"]["version"] == metadata.version("seyolo")
    schemas = description["components"]["schemas"]
    parameters = {each["name"]: each for each in description["paths"]["/detect"]["post"]["parameters"]}
    assert parameters["model"]["schema"] == {
        "type": "string", "enum": ["model1", "model2"], "default": "model1"
    }  # fmt: skip
    for key, default in (("confidence", 0.25), ("iou", 0.6)):
        schema = {"type": "number", "minimum": 0, "maximum": 1, "default": default}
        assert parameters[key]["schema"] == schema
        same = [client.post("/detect", params=q, content=image()).json() for q in ({}, {key: default})]
        assert same[0]["detections"] == same[1]["detections"]
    answer = client.post("/detect", content=image()).json()
    assert sorted(answer) == schemas["Found"]["required"]
    assert sorted(answer["detections"][0]) == schemas["Detection"]["required"]
    assert set(answer["latency_ms"]) == set(schemas["Latency"]["properties"])
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert client.request(method, path).status_code in map(int, operation["responses"])
    assert_every_reference_resolves(description)


def test_the_description_is_made_from_routes_options_and_answers(client: TestClient) -> None:
    """Nothing of it is written twice: a route, an option or a key of an answer stands in the code once."""
    description = client.get("/openapi.json").json()
    app = make_app([served(FixedBackend())], ServeOptions())
    routes = {route.path: route.methods - {"HEAD"} for route in app.routes if isinstance(route, Route)}
    for path, operations in description["paths"].items():
        assert {method.upper() for method in operations} == routes.pop(path)
    assert set(routes) == {"/", "/openapi.json", "/sample.jpg"}  # the page, this description, an image
    assert [one["name"] for one in description["paths"]["/detect"]["post"]["parameters"]] == [
        field.name for field in fields(Question)
    ]
    answers: list[tuple[type, bytes]] = [
        (Found, client.post("/detect", content=image()).content),
        (Models, client.get("/models").content),
        (Health, client.get("/health").content),
        (Refusal, client.get("/detect").content),
    ]
    for kind, content in answers:
        value = msgspec.json.decode(content, type=kind)
        assert msgspec.json.encode(value) == content, kind  # no key that the type lacks
        assert description["components"]["schemas"][kind.__name__]["required"] == sorted(value)


def test_the_sample_image(client: TestClient) -> None:
    assert_refused(client.get("/sample.jpg"), 404, "no sample image")
    app = make_app([served(FixedBackend())], ServeOptions(), sample=sample_image)
    response = TestClient(app, base_url=HOST).get("/sample.jpg")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    decoded = cv2.imdecode(np.frombuffer(response.content, np.uint8), cv2.IMREAD_COLOR)
    found = seyolo.Detector("hand").detect(decoded)
    assert (decoded.shape, len(found)) == ((480, 640, 3), 2)


def assert_every_reference_resolves(description: dict[str, object]) -> None:
    text = json.dumps(description)
    references = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert references
    for reference in references:
        value: object = description
        for key in reference.removeprefix("#/").split("/"):
            assert isinstance(value, dict)
            value = value[key]


@asynccontextmanager
async def async_client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=HOST) as client:
        yield client


async def until_working(backend: FixedBackend, num_threads: int) -> None:
    async with asyncio.timeout(60):
        while backend.most_at_once < num_threads:
            await asyncio.sleep(0.01)


def test_a_full_queue_says_when_to_come_back_and_nothing_blocks_the_loop() -> None:
    backend = FixedBackend()
    app = app_of(backend, limits=ServeOptions(workers=1, queue=1))
    backend.most_at_once = 0

    async def scene() -> None:
        async with async_client(app) as client:
            with backend.held():
                taken = [asyncio.create_task(client.post("/detect", content=image())) for _ in range(2)]
                await until_working(backend, 1)
                busy = await client.post("/detect", content=image())
                assert_refused(busy, 503, "too many images are waiting")
                assert busy.headers["retry-after"] == "1"
                assert (await client.get("/health")).status_code == 200
            assert [response.status_code for response in await asyncio.gather(*taken)] == [200, 200]
            assert (await client.post("/detect", content=image())).status_code == 200

    asyncio.run(scene())


@pytest.mark.parametrize(("runtime", "most"), [("onnxruntime", 2), ("openvino", 2), ("opencv", 1)])
def test_as_many_at_once_as_there_are_workers_and_the_runtime_bears(runtime: str, most: int) -> None:
    backend = FixedBackend(runtime)
    app = app_of(backend, limits=ServeOptions(workers=2, queue=10))
    backend.most_at_once = 0

    async def scene() -> None:
        async with async_client(app) as client:
            with backend.held():
                tasks = [asyncio.create_task(client.post("/detect", content=image())) for _ in range(8)]
                await until_working(backend, most)
                await asyncio.sleep(0.2)  # in which one thread more would be seen
            assert {response.status_code for response in await asyncio.gather(*tasks)} == {200}

    asyncio.run(scene())
    assert backend.most_at_once == most


def answer_to(messages: list[Message], limits: ServeOptions, **headers: bytes) -> tuple[int, str]:
    """Status and error text of the answer to these messages, after which nothing more arrives."""
    app = app_of(FixedBackend(), limits=limits)
    sent: list[Message] = []
    pairs = {"host": b"127.0.0.1", **headers}.items()
    scope = {
        "type": "http", "method": "POST", "path": "/detect", "raw_path": b"/detect", "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value) for name, value in pairs], "scheme": "http",
        "http_version": "1.1", "root_path": "", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 99),
    }  # fmt: skip

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError("waited for a body that does not come")

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], json.loads(body["body"])["error"]


def part_of_a_body(data: bytes) -> Message:
    return {"type": "http.request", "body": data, "more_body": True}


@pytest.mark.parametrize("kind", [b"image/jpeg", b"multipart/form-data; boundary=x"])
@pytest.mark.parametrize(("length", "num_read"), [({"content_length": b"1000063"}, 0), ({}, 11)])
def test_bodies_that_are_too_large_are_not_read_to_their_end(
    kind: bytes, length: dict[str, bytes], num_read: int
) -> None:
    start = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
    messages = [part_of_a_body(data) for data in (start, *[bytes(10_000)] * 100)]
    status, error = answer_to(messages, ServeOptions(max_megabytes=0.1), content_type=kind, **length)
    assert (status, error) == (413, "the request is too large; at most 0.1 megabytes are taken")
    assert len(messages) == 101 - num_read


def test_an_upload_that_does_not_arrive_gives_its_place_back() -> None:
    status, error = answer_to([part_of_a_body(image()[:100])], ServeOptions(upload_seconds=0.05))
    assert (status, error) == (408, "the image took longer than 0.05 s to arrive")


def test_a_browser_that_goes_away_is_no_error_of_ours() -> None:
    gone = {"type": "http.disconnect"}
    assert answer_to([part_of_a_body(image()[:100]), gone], ServeOptions())[0] == 400


@pytest.mark.parametrize(
    ("bounds", "part"),
    [
        ({"max_megabytes": 0}, "max_megabytes must be a number above 0, got 0"),
        ({"max_megapixels": float("nan")}, "max_megapixels"),
        ({"upload_seconds": float("inf")}, "upload_seconds"),
        ({"header_seconds": 0}, "header_seconds must be a number above 0, got 0"),
        ({"idle_seconds": -1}, "idle_seconds"),
        ({"max_total_megabytes": 15}, "max_total_megabytes must be at least max_megabytes, 16, got 15"),
        ({"max_total_megabytes": float("nan")}, "max_total_megabytes"),
        ({"max_connections": 0}, "max_connections must be at least 1, got 0"),
        ({"workers": 0}, "at least one worker"),
        ({"queue": -1}, "queue of 0 or more"),
    ],
)
def test_limits_that_let_nothing_through_are_refused(bounds: dict[str, float], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        ServeOptions(**bounds)  # type: ignore[arg-type]


def test_workers_keep_every_core_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seyolo.web.uploads.usable_cores", lambda: 8)
    assert [workers_for(threads) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]
