"""Chromium plays every output for ten seconds: mpegts.js, hls.js, Media Source Extensions."""

import browser
import harness


class BrowserTest(browser.Playing):
    seconds = 10


if __name__ == "__main__":
    harness.main()
