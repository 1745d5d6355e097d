"""Chromium plays every output for a minute."""

import browser
import harness


class BrowserTest(browser.Playing):
    seconds = 60


if __name__ == "__main__":
    harness.main()
