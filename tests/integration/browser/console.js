#!/usr/bin/env node
/* Drives the console in headless Chromium for console_page.py. Standard input has a JSON object a line,
 * {"call": name, "args": [...]}, each answered by one on standard output: {"ok": value} or {"error": text}. */
'use strict';

const readline = require('node:readline');
const { chromium } = require('playwright-core');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
               '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'];
const WAIT_MS = 20000;

let browser, context, page;
let told = [];  // what the browser held against the page
let asked = []; // {url, type}

/* Names of hosts that are this machine: the server must not take the page for one that was opened on it. */
async function start({ hosts = [], executable = '/usr/bin/chromium' }) {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(',');
  browser = await chromium.launch({ executablePath: executable, headless: true, chromiumSandbox: false,
                                    args: [...FLAGS, `--host-resolver-rules=${rules}`] });
}

function watch(p) {
  p.on('console', (m) => { if (['error', 'warning'].includes(m.type())) told.push(`${m.type()}: ${m.text()} (${m.location().url})`); });
  p.on('pageerror', (e) => told.push(`exception: ${e.stack}`));
  p.on('request', (r) => asked.push({ url: r.url(), type: r.resourceType() }));
  p.on('dialog', (d) => { told.push(`dialog: ${d.message()}`); d.dismiss(); });
}

const calls = {
  start,
  /* A browser that knows nothing yet. any_certificate: it believes an authority of our own. */
  async fresh({ width = 1440, height = 900, phone = false, dark = false, any_certificate = false } = {}) {
    if (context) await context.close();
    context = await browser.newContext({ viewport: { width, height }, isMobile: phone, hasTouch: phone, colorScheme: dark ? 'dark' : 'light',
                                         ignoreHTTPSErrors: any_certificate });
    page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    told = [];
    asked = [];
    watch(page);
  },
  async goto(url) { await page.goto(url); },
  async hash(hash) { await page.evaluate((h) => { location.hash = h; }, hash); },
  async reload() { await page.reload(); },
  async fill(selector, text) { await page.fill(selector, text); },
  async click(selector) { await page.click(selector); },
  async select(selector, value) { await page.selectOption(selector, value); },
  async press(key) { await page.keyboard.press(key); },
  async wait(selector, state = 'visible') { await page.waitForSelector(selector, { state }); },
  async count(selector) { return page.locator(selector).count(); },
  async texts(selector) { return page.locator(selector).allInnerTexts(); },
  async has(selector, text) { return page.locator(selector).filter({ hasText: text }).count(); },
  async evaluate(code) { return page.evaluate(code); },
  /* In the frame of the player. */
  async in_player(code) { return page.frames().find((f) => f.url().endsWith('/player.html')).evaluate(code); },
  async shot(path) { await page.screenshot({ path }); },
  /* The answer of one path of the API is this from now on. */
  async answer(path, body) {
    await context.route((url) => url.pathname === path, (route) => route.fulfill({ status: 200, contentType: 'application/json', body: JSON.stringify(body) }));
  },
  async told() { return told; },
  async asked() { return asked; },
  async stop() { await browser.close(); },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { call, args } = JSON.parse(line);
    try {
      console.log(JSON.stringify({ ok: (await calls[call](...args)) ?? null }));
    } catch (e) {
      console.log(JSON.stringify({ error: `${call}(${JSON.stringify(args)}): ${e.message}` }));
    }
    if (call === 'stop') break;
  }
  if (browser?.isConnected()) await browser.close();
})();
