"""The console in a real browser, one step at a time: browser/console.js is asked, and answers."""

import json
import os
import subprocess

import browser
import harness

HOST = "console.test"  # is this machine in the browser; the server sees no loopback name, and asks for a token
ADMIN, READER = "0123456789abcdef-of-alice", "0123456789abcdef-of-rita"


def write_tokens(path):
    with open(path, "w") as file:
        file.write(f"alice admin {ADMIN}\nrita read {READER}\n")
    os.chmod(path, 0o600)
    return path


class Page:
    """page.click("button") and so on: the calls of console.js. AssertionError when one fails."""

    def __init__(self):
        browser.install()
        self.driver = subprocess.Popen([harness.tool("node"), "console.js"], cwd=browser.FOLDER, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.start({"hosts": [HOST]})

    def __getattr__(self, name):
        def call(*args):
            self.driver.stdin.write(json.dumps({"call": name, "args": args}) + "\n")
            self.driver.stdin.flush()
            line = self.driver.stdout.readline()
            if not line:
                raise AssertionError(f"{name}{args}: the browser is gone")
            answer = json.loads(line)
            if "error" in answer:
                raise AssertionError(answer["error"])
            return answer["ok"]
        return call

    def until(self, code, timeout_s=20, what=None):
        """The first true value of the JavaScript."""
        return harness.wait_until(lambda: self.evaluate(code), timeout_s, what or code, step_s=0.1)

    def open(self, process, token=None, **how):
        """A fresh browser at the process's console, logged in."""
        self.fresh(how)
        host, port = process.http if hasattr(process, "http") and not hasattr(process, "admin") else process.admin
        self.base = f"http://{HOST if token else host}:{port}"
        self.goto(self.base + "/")
        if token:
            self.wait("#token")
            self.fill("#token", token)
            self.press("Enter")
        self.wait("#nav")

    def view(self, hash, selector):
        self.hash(hash)
        self.wait(selector)

    def close(self):
        try:
            self.stop()
        finally:
            self.driver.stdin.close()
            self.driver.wait(20)
            self.driver.stdout.close()
