"""A server of the page in a process of its own, and a visitor without a browser."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit


class Server:
    """`restore serve`, up and listening; its sessions lie under `folder`."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "restore", "serve", "--port", "0", *map(str, arguments)],
            # Without a display, --open finds no browser.
            env={name: text for name, text in os.environ.items() if "DISPLAY" not in name} | {"TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.seconds_to_start = time.monotonic() - begin
        assert " at http://" in self.first_line, self.first_line + self.process.stdout.read()
        self.address = self.first_line.split(" at ")[1].split()[0]

    def ends(self, signal: int) -> tuple[int, float, str]:
        """Its exit code, the seconds it took to end, and what it said."""
        begin = time.monotonic()
        self.process.send_signal(signal)
        try:
            said, _ = self.process.communicate(timeout=20)
        finally:
            self.process.kill()
        return self.process.returncode, time.monotonic() - begin, said

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


class Client:
    """A visitor who keeps the session's cookie."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self.cookie = ""
        self.ask("GET", "/")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """Status, and the answer: of JSON its content, else its bytes."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {"Host": self.host, "Origin": f"http://{self.host}", "Cookie": self.cookie}
        try:
            connection.request(method, path, body, sent | headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        if "set-cookie" in self.headers:
            self.cookie = self.headers["set-cookie"].split(";")[0]
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(data) if is_json else data

    def post(self, path: str, content: object) -> tuple[int, Any]:
        return self.ask("POST", path, json.dumps(content).encode())

    def upload(self, path: Path, name: str = "") -> tuple[int, Any]:
        return self.ask("POST", f"/api/files?name={quote(name or path.name)}", path.read_bytes())

    def items(self) -> list[dict[str, Any]]:
        status, state = self.ask("GET", "/api/state")
        assert status == 200, state
        return list(state["items"])

    def settled(self, seconds: float = 60) -> list[dict[str, Any]]:
        """The items, once nothing waits and nothing is worked on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            items = self.items()
            if all(item["state"] in ("idle", "failed") for item in items):
                return items
            time.sleep(0.1)
        raise AssertionError(f"still at work: {items}")
