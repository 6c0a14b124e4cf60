"""A local server that speaks both protocols, and misbehaves on request: `FAULTS` are the ways."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USED = {"in": 120, "out": 30}
FAULTS = (
    "garbage", "cut", "drip", "drip headers", "bomb", "huge", "deep", "shapes", "no text", "blocked", "wrong",
    "cut off", "surrogate", "500", "429 nan", "503 -1e999", "429 Mon, 99 Foo 99999", "coded", "usage negative",
    "usage null", "usage nan", "usage huge", "usage text", "usage list", "big header", "many headers", "length abc",
    "length -5", "length 99999999999999999999", "chunks", "no HTTP", "empty",
)  # fmt: skip
"""Steps after which a month goes on by rules, or with an estimate; `denied` ends it."""
USAGES: dict[str, Any] = {
    "negative": -5, "null": None, "nan": float("nan"), "huge": 10**15, "text": "many", "list": [1], "true": True,
}  # fmt: skip
SHAPES: tuple[Any, ...] = ([], {}, None, 3, "x", {"choices": 5}, {"choices": [None]}, {"choices": [{"message": []}]},
                           {"candidates": 7}, {"candidates": [{"content": {"parts": 3}}]})  # fmt: skip


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
    raw: tuple[int, bytes] = (200, b"")
    refuses: tuple[str, ...] = ()  # parameters that this server refuses as OpenAI's does

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
        refused = next((p for p in script.refuses if p in {**body, **body.get("generationConfig", {})}), None)
        if refused is not None:
            use = " Use 'max_completion_tokens' instead." if refused == "max_tokens" else ""
            words = f"Unsupported parameter: '{refused}' is not supported with this model.{use}"
            self._send(400, {"error": {"message": words, "type": "invalid_request_error", "code": "unsupported"}})
        elif step == "good":
            self._send(200, make(script.says(body) if script.says else script.answer, stop))
        elif step == "wrong":
            self._send(200, make('{"kwh": "three", "cents": 12.5}', stop))
        elif step == "blocked":
            self._send(200, make(None, filtered))
        elif step == "garbage":
            self._raw(200, b"<html>so sorry</html>")
        elif step == "raw":
            self._raw(*script.raw)
        elif step == "big header":
            self._raw(200, b"{}", {"x-odd": "y" * 300_000})
        elif step == "many headers":
            self._raw(200, b"{}", {f"x-{i}": "y" * 100 for i in range(3000)})
        elif step.startswith("length "):
            self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {step[7:]}\r\n\r\n{{}}".encode())
            self.close_connection = True
        elif step == "chunks":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
            self.close_connection = True
        elif step == "no HTTP":
            self.wfile.write(b"\x00\xffhello\r\n\r\n")
            self.close_connection = True
        elif step == "empty":
            self._raw(204, b"")
        elif step == "redirect":
            self._raw(302, b"", {"location": "http://127.0.0.1:9/elsewhere"})
        elif step == "no text":
            self._send(200, make(None, stop))
        elif step == "cut off":
            self._send(200, make('{"kwh": 3, "ce', "MAX_TOKENS" if make is _gemini else "length"))
        elif step == "surrogate":
            self._raw(200, json.dumps(make('{"kwh": 3, "cents": "\ud800"}', stop)).encode())
        elif step == "shapes":
            self._send(200, SHAPES[script.calls % len(SHAPES)])
        elif step == "deep":
            self._raw(200, b"[" * 200_000)
        elif step == "huge":
            self._raw(200, b'{"choices": "' + b"x" * (3 * 2**20) + b'"}')
        elif step == "bomb":
            self._raw(200, bomb(), {"content-encoding": "gzip"})
        elif step == "zipped":
            body_ = gzip.compress(json.dumps(make(script.answer, stop)).encode())
            self._raw(200, body_, {"content-encoding": "gzip"})
        elif step == "coded":
            self._raw(200, b"abc", {"content-encoding": "br"})
        elif step.startswith("usage "):
            answer, odd = make(script.answer, stop), USAGES[step.removeprefix("usage ")]
            key = "usageMetadata" if make is _gemini else "usage"
            answer[key] = [odd] if step == "usage list" else dict.fromkeys(answer[key], odd)
            self._send(200, answer)
        elif step.startswith("drip"):
            self._drip(headers=step == "drip headers")
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
            key = self.headers.get("authorization", "") + self.headers.get("x-goog-api-key", "")
            words = f"the key {key} may not use this model"
            self._send(403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": words}})
        else:
            status = int(step.partition(" ")[0])
            after = step.partition(" ")[2]
            error = {"error": {"code": status, "status": "UNAVAILABLE", "message": "later"}}
            self._send(status, error, {"retry-after": after} if after else {})

    def _drip(self, headers: bool) -> None:
        """A byte every 20 ms, for 10 s or until the client has given up."""
        head = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"
        try:
            self.wfile.write(head if headers else head + b"Content-Length: 5000\r\n\r\n")
            for _ in range(500):
                self.wfile.write(b"x")
                self.wfile.flush()
                if self.script.release.wait(0.02):
                    break
        except OSError:
            pass  # it has hung up, as it should
        self.close_connection = True

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), headers)

    def _raw(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):  # the client may have seen enough
            self.wfile.write(content)


@lru_cache(1)
def bomb() -> bytes:
    """200 MB of nothing, in 200 kB."""
    return gzip.compress(bytes(200 * 2**20), 9)


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
