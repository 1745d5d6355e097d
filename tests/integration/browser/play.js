#!/usr/bin/env node
/* Plays URLs in headless Chromium (mpegts.js, hls.js, Media Source Extensions) and reports as JSON on
 * standard output what a person would have seen. Exit code: 0 all played, 1 some did not, 2 the test
 * itself cannot run. */
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const CHROMIUM_FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

const USAGE = `usage: node play.js [options] URL...
  --seconds N        how long each stream is watched once it plays (10)
  --start-timeout N  seconds that a stream may take to start (20)
  --min-progress R   least share of the watched time that the picture must have moved (0.8)
  --max-stall-ms N   longest stop that is still fine (1000)
  --numbers BITS     pictures have numbers (README.md); report each with the time at which it was shown
  --any-certificate  https and wss play whatever certificate is shown
  --chromium PATH    browser (/usr/bin/chromium)`;

class UsageError extends Error {}

function parseNumber(name, text, min) {
  const value = Number(text);
  if (!text || !Number.isFinite(value) || value < min)
    throw new UsageError(`${name}: found "${text}", allowed is a number from ${min} on`);
  return value;
}

function parseArguments(argv) {
  const options = {
    seconds: 10, startTimeout: 20, minProgress: 0.8, maxStallMs: 1000, numberBits: 0, anyCertificate: false,
    chromium: '/usr/bin/chromium', urls: [],
  };
  const numbers = {
    '--seconds': ['seconds', 1], '--start-timeout': ['startTimeout', 1],
    '--min-progress': ['minProgress', 0], '--max-stall-ms': ['maxStallMs', 0],
    '--numbers': ['numberBits', 0],
  };
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i];
    if (numbers[argument]) {
      const [key, min] = numbers[argument];
      options[key] = parseNumber(argument, argv[++i], min);
    } else if (argument === '--any-certificate') {
      options.anyCertificate = true;
    } else if (argument === '--chromium') {
      options.chromium = argv[++i];
    } else if (/^(https?|wss?):\/\//.test(argument)) {
      options.urls.push(argument);
    } else {
      throw new UsageError(`"${argument}" is neither an option nor an http or ws URL`);
    }
  }
  if (!options.urls.length) throw new UsageError('no URL');
  return options;
}

/* The page and its players on a free loopback port: media then comes from another origin, so CORS is
 * part of the test. */
function servePage() {
  const files = {
    '/': [path.join(__dirname, 'page.html'), 'text/html'],
    '/engines.js': [path.join(__dirname, 'engines.js'), 'text/javascript'],
    '/player.js': [path.join(__dirname, 'player.js'), 'text/javascript'],
    '/hls.js': [require.resolve('hls.js/dist/hls.js'), 'text/javascript'],
    '/mpegts.js': [require.resolve('mpegts.js/dist/mpegts.js'), 'text/javascript'],
  };
  const server = http.createServer((request, response) => {
    const file = files[request.url];
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': file[1], 'Cache-Control': 'no-store' });
    fs.createReadStream(file[0]).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

/* Why a report is not good enough, one sentence each. */
function findFaults(report, options) {
  const faults = [];
  const need = (condition, text) => { if (!condition) faults.push(text); };
  need(report.errors.length === 0, `errors: ${report.errors.join('; ')}`);
  need(!report.ended_by_server, 'the server ended the stream');
  need(report.playing, `did not start (limit ${options.startTimeout} s)`);
  if (!report.playing) return faults;
  need(report.progress_s >= options.minProgress * options.seconds,
       `moved ${report.progress_s} s in ${options.seconds} s`);
  need(report.longest_stall_ms <= options.maxStallMs, `stood still for ${report.longest_stall_ms} ms`);
  need(report.has_video || report.has_audio, 'neither picture nor sound announced');
  need(!report.has_video || report.decoded_frames > 0, 'no picture decoded');
  need(!report.has_audio || report.audio_decoded_bytes > 0, 'no sound decoded');
  return faults;
}

/* {origin: {protocol: responses}}, by the names of ALPN. */
async function countProtocols(context, page) {
  const protocols = {};
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  session.on('Network.responseReceived', ({ response }) => {
    const count = (protocols[new URL(response.url).origin] ??= {});
    count[response.protocol] = (count[response.protocol] ?? 0) + 1;
  });
  return protocols;
}

/* [reports of the page, protocols] */
async function playInBrowser(options, pageUrl, profile) {
  const { chromium } = require('playwright-core');
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: options.chromium, headless: true, args: CHROMIUM_FLAGS, chromiumSandbox: false,
    ignoreHTTPSErrors: options.anyCertificate,
  });
  /* A page that hangs must not hang the test. */
  const deadlineMs = (options.startTimeout + options.seconds + 20) * 1000;
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the page did not report within ${deadlineMs} ms`)),
                       deadlineMs);
  });
  try {
    const page = await context.newPage();
    page.on('pageerror', (e) => console.error(`page: ${e.message}`));
    await page.goto(pageUrl);
    const protocols = await countProtocols(context, page);
    const results = await Promise.race([deadline, page.evaluate(
      ([urls, limits]) => playAll(urls, limits),
      [options.urls, { seconds: options.seconds, startTimeoutMs: options.startTimeout * 1000,
                       numberBits: options.numberBits }])]);
    return [results, protocols];
  } finally {
    clearTimeout(timer);
    await context.close();
  }
}

async function run(options) {
  const server = await servePage();
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'headwater-browser-'));
  try {
    const pageUrl = `http://127.0.0.1:${server.address().port}/`;
    const [results, protocols] = await playInBrowser(options, pageUrl, profile);
    for (const result of results) {
      result.faults = findFaults(result, options);
      result.ok = result.faults.length === 0;
    }
    return { ok: results.every((result) => result.ok), seconds: options.seconds, protocols, results };
  } finally {
    server.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

async function main() {
  let options;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (e) {
    console.error(`${e.message}\n${USAGE}`);
    return 2;
  }
  try {
    const report = await run(options);
    console.log(JSON.stringify(report, null, 2));
    return report.ok ? 0 : 1;
  } catch (e) {
    console.error(`cannot run the browser test: ${e.message}`);
    return 2;
  }
}

main().then((code) => { process.exitCode = code; });
