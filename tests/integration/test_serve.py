"""`restore serve` without a browser: what it refuses, what it keeps to itself, and how it ends."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import psutil
import pytest

from restore.errors import InputError
from restore.web.films import media_type, playable, write_playable
from restore.web.items import Item
from restore.web.lanes import Full, Lane
from restore.web.passwords import Passwords
from tests.clips import Clip, make_clip
from tests.pages import Client, Server
from tests.pictures import save_grey

OURS = "restore-serve-"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = ("--max-megapixels", 1, "--max-upload", 3, "--max-minutes", 1)
    server = Server(tmp_path_factory.mktemp("server"), *limits)
    yield server
    server.stop()


def serve(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restore", "serve", *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_limits_are_told_in_one_line(server: Server, tmp_path: Path) -> None:
    client = Client(server.address)
    save_grey(tmp_path / "wide.png", 1500, 1000)
    save_grey(tmp_path / "fits.png", 300, 200)
    make_clip(tmp_path / "long.mp4", Clip(times=range(62), time_base=Fraction(1), rate=1))
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/secret.ts\n#EXT-X-ENDLIST\n")
    for name in ("wide.png", "long.mp4", "list.mp4", "fits.png"):
        assert client.upload(tmp_path / name)[0] == 201
    told = {item["name"]: item["message"] for item in client.settled()}
    assert told["wide.png"].startswith("wide.png has 2 million pixels, and this page takes 1.")
    assert told["long.mp4"].startswith("long.mp4 is longer than 1 minutes, the most that this page takes.")
    assert told["list.mp4"].startswith("list.mp4 is not a film that can be read")
    assert told["fits.png"] == ""
    status, answer = client.ask("POST", "/api/files?name=heavy.jpg", bytes(3_000_001))
    assert (status, answer["error"]) == (413, "heavy.jpg is larger than 3 MB, the most that this page takes.")
    assert client.ask("POST", "/api/files?name=nothing.jpg")[0] == 415


def test_requests_from_elsewhere_are_refused(server: Server, tmp_path: Path) -> None:
    """Other pages that the visitor has open, names that are made to lead here, other sessions' items."""
    client, other = Client(server.address), Client(server.address)
    save_grey(tmp_path / "a.png")
    status, uploaded = client.upload(tmp_path / "a.png")
    assert status == 201
    path = f"/api/items/{uploaded['id']}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}):
        assert client.ask("DELETE", path, **headers)[0] == 403
        assert client.ask("POST", "/api/forget", **headers)[0] == 403
    assert client.ask("GET", "/", Host="evil.example")[0] == 421
    assert client.ask("GET", "/api/state", Host=f"evil.example:{client.host.split(':')[1]}")[0] == 421
    client.settled()
    assert client.ask("GET", f"{path}/download")[0] == 200
    assert client.headers["cache-control"] == "no-store"
    assert other.ask("GET", f"{path}/download")[0] == 404
    assert other.ask("DELETE", path)[0] == 404
    other.cookie = ""
    assert other.ask("GET", f"{path}/download")[0] == 401
    for settings in (
        {"style": "loud"},
        {"era": "old"},
        {"era": None},
        {"saturation": 9},
        {"saturation": "1"},
        {"size": True},
        {"output": "/etc"},
        None,
    ):
        assert client.post(f"{path}/work", {"task": "colour", "settings": settings})[0] == 400
    assert client.ask("GET", "/static/..%2f..%2foptions.py")[0] == 404
    client.ask("GET", "/")
    assert "default-src 'none'" in client.headers["content-security-policy"]
    assert client.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_a_name_is_on_disk(server: Server, tmp_path: Path) -> None:
    client = Client(server.address)
    save_grey(tmp_path / "plain.png")
    for name in ("../../../evil.png", "..\\evil.png", "/etc/evil.png", "evil\n\0.png", "evil" * 90 + ".png", ".."):
        client.upload(tmp_path / "plain.png", name)
    items = client.settled()
    assert len(items) == 6
    assert {item["state"] for item in items} == {"idle"}
    assert items[0]["name"] == "evil.png"
    (folder,) = server.folder.glob(f"{OURS}*")
    on_disk = [path for path in server.folder.rglob("*") if "evil" in str(path.relative_to(server.folder))]
    assert on_disk == []
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.glob("*/"), *folder.glob("*/*/"))} == {0o700}
    before = len(list(folder.glob("*/*")))
    for item in items:
        client.ask("DELETE", f"/api/items/{item['id']}")
    assert len(list(folder.glob("*/*"))) == before - 6


def test_memory_comes_back(server: Server, tmp_path: Path) -> None:
    client = Client(server.address)
    save_grey(tmp_path / "large.jpg", 1000, 990)
    process = psutil.Process(server.process.pid)

    def megabytes(count: int) -> float:
        for _ in range(count):
            client.upload(tmp_path / "large.jpg")
        for item in client.settled():
            assert item["result"], item["message"]
            client.ask("GET", f"/api/items/{item['id']}/view?of=after&n=1")
            client.ask("DELETE", f"/api/items/{item['id']}")
        return process.memory_info().rss / 1e6

    first = megabytes(4)
    assert megabytes(12) - first < 30


def make_trouble(client: Client) -> None:
    """What no page sends: broken addresses and bodies, and an upload that is broken off."""
    assert client.ask("GET", "/", Host="[::1")[0] == 400
    assert client.ask("POST", "/api/forget", Origin="http://[::1")[0] == 400
    own = {"Host": client.host, "Origin": f"http://{client.host}", "Cookie": client.cookie, "Content-Length": "9"}
    head = "".join(f"{name}: {text}\r\n" for name, text in own.items())
    name, port = client.host.split(":")
    with socket.create_connection((name, int(port))) as visitor:
        visitor.sendall(f"POST /api/files?name=a.jpg HTTP/1.1\r\n{head}\r\nabc".encode())
        time.sleep(0.1)
    _, uploaded = client.ask("POST", "/api/files?name=a.jpg", b"no photo")
    client.settled()
    path = f"/api/items/{uploaded['id']}"
    for body in (b"[" * 4000, b'{"settings": {"saturation": ' + b"1" * 4000 + b"}}"):
        assert client.ask("POST", f"{path}/work", body)[0] == 400
    status, answer = client.post(f"{path}/choices", {"settings": {}})
    assert (status, answer["error"].startswith("a.jpg is")) == (400, True), answer  # and no path of the server's
    client.ask("DELETE", path)


def test_a_signal_ends_it_in_time_and_removes_everything(tmp_path: Path) -> None:
    """In the middle of a film. What a killed server left is removed by the next one."""
    clip = make_clip(tmp_path / "clip.mp4", Clip(columns=640, rows=480, times=range(250)))
    killed = Server(tmp_path / "server", "--open")
    assert killed.process.stdout is not None
    assert killed.process.stdout.readline() == f"No browser could be opened here: open {killed.address} yourself\n"
    assert killed.seconds_to_start < 30  # beside other tests; benchmarks/web.py measures it
    Client(killed.address).upload(clip)
    killed.stop()
    (left,) = killed.folder.glob(f"{OURS}*")
    old = time.time() - 60
    os.utime(left, (old, old))
    server = Server(tmp_path / "server")
    (folder,) = server.folder.glob(f"{OURS}*")
    assert folder != left
    client = Client(server.address)
    make_trouble(client)
    _, uploaded = client.upload(clip)
    client.settled()
    client.post(f"/api/items/{uploaded['id']}/work", {"task": "colour", "settings": {}})
    until = time.monotonic() + 60
    while not client.items()[0]["share"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    code, seconds, said = server.ends(signal.SIGTERM)
    assert (code, seconds < 5) == (143, True), (seconds, said)
    assert "Traceback" not in said and "report" not in said
    assert list(server.folder.iterdir()) == []  # not even ONNX Runtime's, which tells of its use unless told not to


def test_what_it_does_not_begin_with(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve("--port", taken.getsockname()[1])
        assert done.returncode == 2
        assert "Give another --port" in done.stderr
    done = serve("--host", "0.0.0.0")
    assert (done.returncode, "Give --auth FILE as well" in done.stderr) == (2, True)
    users = tmp_path / "users"
    users.write_text("anna:three old cameras\n")
    done = serve("--host", "0.0.0.0", "--auth", users)
    assert (done.returncode, "no user with a bcrypt hash" in done.stderr) == (3, True)
    assert "cameras" not in done.stderr
    (tmp_path / "starlette.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = serve("--port", "0", PYTHONPATH=path)
    assert (done.returncode, "pip install 'restore-color[web]'" in done.stderr) == (5, True), done.stderr


def test_a_password_is_asked_for_on_the_terminal(tmp_path: Path) -> None:
    users = tmp_path / "users"
    command = [sys.executable, "-m", "restore", "serve", "--auth", str(users), "--add-user", "anna"]
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(command[0], command)
    said = b""
    for prompts in (1, 2):
        while said.count(b": ") < prompts:
            said += os.read(terminal, 1024)
        os.write(terminal, b"three old cameras\n")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"cameras" not in said
    assert users.stat().st_mode & 0o777 == 0o600
    passwords = Passwords(users)
    assert passwords.match("anna", "three old cameras")
    for user, password in (
        ("anna", "three old camera"),
        ("bert", "three old cameras"),
        ("anna", ""),
        ("anna", "é" * 40),
    ):
        assert not passwords.match(user, password)
    with pytest.raises(InputError):
        Passwords(tmp_path / "nobody")


def test_a_lane_is_bounded() -> None:
    go, seen = Event(), []

    def work(item: Item) -> None:
        go.wait(10)
        seen.append(item)

    lane = Lane("test", 1, 2, work)
    items = [Item("photo", f"{number}", Path(), Path(), 0) for number in range(4)]
    lane.put(items[0])
    while lane.places():
        time.sleep(0.01)
    lane.put(items[1])
    lane.put(items[2])
    with pytest.raises(Full):
        lane.put(items[3])
    assert lane.places() == {items[1].id: 0, items[2].id: 1}
    assert lane.take_out(items[1])
    go.set()
    while len(seen) < 2:
        time.sleep(0.01)
    assert seen == [items[0], items[2]]
    assert lane.close(5)


def test_a_film_that_browsers_can_not_play_gets_a_copy_that_they_can(tmp_path: Path) -> None:
    """And the download is the result itself."""
    clip = Clip(codec="mpeg2video", columns=160, rows=128, times=range(30), sound=["pcm_s16le"], sound_rate=11127)
    film = make_clip(tmp_path / "old.avi", clip)
    assert media_type(film) is None
    assert write_playable(film, lambda: False)
    copy, kind = playable(film)
    assert (copy.name, kind, media_type(copy)) == ("playable.mp4", "video/mp4", "video/mp4")
    with av.open(str(copy)) as made, av.open(str(film)) as source:
        assert [stream.codec.canonical_name for stream in made.streams] == ["h264", "aac"]
        assert made.streams.video[0].frames == 30
        assert abs(float((made.duration - source.duration) / av.time_base)) < 0.1
    copy.unlink()
    assert not write_playable(film, lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == ["old.avi"]


def test_it_works_with_the_network_cut(tmp_path: Path) -> None:
    """In a network of its own, which has loopback alone."""
    save_grey(tmp_path / "a.png", 200, 120)
    script = f"""
import fcntl, socket, struct
from pathlib import Path
from tests.pages import Client, Server
with socket.socket() as one:
    fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", 1 | 64))  # SIOCSIFFLAGS: up, running
server = Server(Path({str(tmp_path / "server")!r}))
client = Client(server.address)
client.upload(Path({str(tmp_path / "a.png")!r}))
(item,) = client.settled()
print(item["result"]["name"], client.ask("GET", f"/api/items/{{item['id']}}/view?of=after&n=1")[0])
server.stop()
"""
    cut = ["unshare", "--net", sys.executable, "-c", script]
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network can be cut off here")  # it takes root
    done = subprocess.run(cut, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.stdout.split() == ["a-restored.png", "200"], done.stderr
