"""A headless Chromium, driven through its pipe: enough to open a page, click, and see what was asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Opens one page."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        theirs, self._out = os.pipe()
        self._in, back = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        os.set_inheritable(theirs, True), os.set_inheritable(back, True)
        words = f'exec "$0" --headless --no-sandbox --disable-gpu --no-first-run --remote-debugging-pipe --user-data-dir="{profile}" about:blank 3<&{theirs} 4>&{back}'
        self._process = subprocess.Popen(
            ["bash", "-c", words, CHROMIUM], pass_fds=(theirs, back), stderr=subprocess.DEVNULL
        )
        os.close(theirs), os.close(back)
        self._rest, self._count, self._session = b"", 0, {}
        self.asked: list[str] = []
        """addresses that the page asked for"""
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.do("Network.enable")
        self.do("Page.enable")

    def do(self, method: str, **params: Any) -> Any:
        """The result of a command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params} | self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._count:
                assert "error" not in found, found["error"]
                return found["result"]

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)["result"].get(
            "value"
        )

    def until(self, script: str, seconds: float = 20.0) -> Any:
        """The value of an expression once it is true."""
        ends = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < ends, script
            time.sleep(0.05)
        return value

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has gone"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        found = json.loads(line)
        if found.get("method") == "Network.requestWillBeSent":
            self.asked.append(found["params"]["request"]["url"])
        return found

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._out), os.close(self._in)
        self._process.terminate()
        self._process.wait(20)
