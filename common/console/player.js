/* Within the frame: plays one URL, and tells the page how it goes. This frame has no origin: it has no
 * token, and does not get at the page or its API. */
'use strict';

const video = document.querySelector('video');
const LIBRARIES = { flv: 'mpegts.js', ts: 'mpegts.js', hls: 'hls.light.min.js' };
let failed = null;

function tell(more) {
  parent.postMessage(more, '*'); // told to whoever shows the frame, which is our page: frame-ancestors
}

function fail(text) {
  failed = text;
  tell({ state: 'error', text });
}

function load(file) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `/console/${file}`;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${file} cannot be loaded`));
    document.head.append(script);
  });
}

function playMpegts(kind, url) {
  mpegts.LoggingControl.enableAll = false; // what goes wrong is told to the page
  if (!mpegts.isSupported()) throw new Error('this browser has no Media Source Extensions: try HLS');
  const player = mpegts.createPlayer({ type: kind === 'ts' ? 'mpegts' : 'flv', isLive: true, cors: true, url },
                                     { enableWorker: false, liveBufferLatencyChasing: true, liveBufferLatencyMaxLatency: 3 });
  player.on(mpegts.Events.ERROR, (type, detail, info) => fail([detail, info?.msg ?? info?.code].filter(Boolean).join(': ')));
  player.on(mpegts.Events.LOADING_COMPLETE, () => fail('the stream has ended'));
  player.attachMediaElement(video);
  player.load();
}

function playHls(url) {
  if (!Hls.isSupported()) {
    video.src = url; // Safari on a phone plays it by itself
    return;
  }
  const hls = new Hls({ lowLatencyMode: true, enableWorker: false });
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) fail(`${data.details}: ${data.reason ?? data.error?.message ?? ''}`); });
  hls.attachMedia(video);
  hls.loadSource(url);
}

let before = { frames: 0, at: performance.now() };

function report() {
  if (failed) return;
  const quality = video.getVideoPlaybackQuality();
  const now = { frames: quality.totalVideoFrames, at: performance.now() };
  const { buffered } = video;
  tell({
    state: !video.paused && video.readyState >= 3 && video.currentTime > 0 ? 'playing' : video.paused && video.currentTime > 0 ? 'paused' : 'loading',
    width: video.videoWidth, height: video.videoHeight, frames: now.frames, dropped: quality.droppedVideoFrames,
    fps: ((now.frames - before.frames) * 1000) / (now.at - before.at),
    behind_s: buffered.length ? buffered.end(buffered.length - 1) - video.currentTime : 0,
  });
  before = now;
}

window.addEventListener('message', async (event) => {
  if (event.source !== parent) return;
  const { kind, url } = event.data;
  if (!(kind in LIBRARIES) || !/^https?:\/\//.test(url)) return;
  setInterval(report, 1000);
  try {
    await load(LIBRARIES[kind]);
    if (kind === 'hls') playHls(url);
    else playMpegts(kind, url);
    await video.play();
  } catch (e) {
    if (e.name !== 'AbortError') fail(e.message);
  }
}, { once: true });
