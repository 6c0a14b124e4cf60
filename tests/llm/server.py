"""A local server that speaks both protocols, and misbehaves on request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USED = {"in": 120, "out": 30}


@dataclass
class Script:
    """What to do, one step per request; the last step is repeated. And what was received."""

    steps: list[str]
    answer: str = '{"kwh": 3, "cents": 12}'
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    delay_s: float = 0.0
    says: Callable[[dict[str, Any]], str] | None = None  # answer of a good step from the request's body
    under_way: int = 0
    most_under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> int:
        return len(self.paths)


def _openai(text: str | None, finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    used = {"prompt_tokens": USED["in"], "completion_tokens": USED["out"]}
    return {"model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": used}


def _gemini(text: str | None, finish: str) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]} if text is not None else {"role": "model", "parts": []}
    used = {"promptTokenCount": USED["in"], "candidatesTokenCount": USED["out"], "totalTokenCount": 150}
    return {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": used,
        "modelVersion": "m-1",
    }


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        script = self.script
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        with script.lock:
            step = script.steps[min(script.calls, len(script.steps) - 1)]
            script.paths.append(self.path)
            script.bodies.append(body)
            script.headers.append(dict(self.headers))
            script.under_way += 1
            script.most_under_way = max(script.most_under_way, script.under_way)
        try:
            time.sleep(script.delay_s)
            self._do(script, step, body)
        finally:
            with script.lock:
                script.under_way -= 1

    def _do(self, script: Script, step: str, body: dict[str, Any]) -> None:
        make = _gemini if "generateContent" in self.path else _openai
        stop, filtered = ("STOP", "SAFETY") if make is _gemini else ("stop", "content_filter")
        if step == "good":
            self._send(200, make(script.says(body) if script.says else script.answer, stop))
        elif step == "wrong":
            self._send(200, make('{"kwh": "three", "cents": 12.5}', stop))
        elif step == "blocked":
            self._send(200, make(None, filtered))
        elif step == "garbage":
            self._raw(200, b"<html>so sorry</html>")
        elif step == "slow":
            script.release.wait(10.0)  # until the client has given up
        elif step == "cut":
            # a length is promised, and the connection ends before it
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "5000")
            self.end_headers()
            self.wfile.write(b'{"cand')
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif step == "denied":
            self._send(403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no"}})
        else:
            status = int(step.partition(" ")[0])
            after = step.partition(" ")[2]
            error = {"error": {"code": status, "status": "UNAVAILABLE", "message": "later"}}
            self._send(status, error, {"retry-after": after} if after else {})

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), headers)

    def _raw(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def serve(
    *steps: str, delay_s: float = 0.0, says: Callable[[dict[str, Any]], str] | None = None
) -> Iterator[tuple[str, Script]]:
    """Serve the steps on a free port of the loopback interface; yields `host:port` and the script."""
    script = Script(list(steps), delay_s=delay_s, says=says)
    handler = type("Handler", (_Handler,), {"script": script})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", script
    finally:
        script.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
