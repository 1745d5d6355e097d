/* In the page: one <video> and one engine a URL, watched until it has played long enough, failed or
 * run out of time. play.js starts it and reads the reports. */
'use strict';

const SAMPLE_MS = 50;
const STALL_MS = 250; // shorter gaps are the granularity of currentTime, not a stop that people see

class Playback {
  constructor(url, options) {
    this.url = url;
    this.options = options;
    this.startedAt = performance.now();
    this.window = null; // the seconds that are measured: from the first moving picture or sound on
    this.finished = false;
    this.shown = []; // [number of a picture, Date.now()]
  }

  start() {
    this.video = document.createElement('video');
    this.video.width = 320;
    document.body.append(this.video);
    this.engine = engineOf(this.url, this.video);
    this.video.addEventListener('error', () =>
      this.engine.fail(`video: ${this.video.error.code} ${this.video.error.message}`));
    if (this.options.numberBits) this.watchNumbers(this.options.numberBits);
    this.engine.start();
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
  }

  /* The number of each picture that is shown: a cell a bit along the upper edge, white is 1. */
  watchNumbers(bits) {
    const canvas = new OffscreenCanvas(bits, 1).getContext('2d', { willReadFrequently: true });
    canvas.imageSmoothingEnabled = false; // the middle of each cell
    const look = () => {
      if (this.finished) return;
      canvas.drawImage(this.video, 0, 4, this.video.videoWidth, 8, 0, 0, bits, 1);
      const pixels = canvas.getImageData(0, 0, bits, 1).data;
      let number = 0;
      for (let bit = 0; bit < bits; bit++) if (pixels[4 * bit] > 127) number |= 1 << bit;
      this.shown.push([number, Date.now()]);
      this.video.requestVideoFrameCallback(look);
    };
    this.video.requestVideoFrameCallback(look);
  }

  get failed() {
    return this.engine.errors.length > 0;
  }

  counters() {
    const quality = this.video.getVideoPlaybackQuality();
    return {
      time: this.video.currentTime,
      frames: quality.totalVideoFrames,
      dropped: quality.droppedVideoFrames,
      audioBytes: this.video.webkitAudioDecodedByteCount,
    };
  }

  sample() {
    const now = performance.now();
    if (this.finished) return;
    if (!this.window) {
      this.openWindow(now);
      if (!this.window && (this.failed || this.engine.ended ||
                           now - this.startedAt > this.options.startTimeoutMs)) this.finish();
      return;
    }
    this.watchStall(now);
    if (now - this.window.openedAt >= this.options.seconds * 1000 || this.failed) {
      this.window.closedAt = now;
      this.finish();
    }
  }

  openWindow(now) {
    const time = this.video.currentTime;
    const moved = this.lastTime !== undefined && time > this.lastTime;
    const jumped = moved && time - this.lastTime > 1; // a seek to where the stream was joined
    this.lastTime = time;
    if (!moved || jumped || this.video.paused) return;
    this.window = {
      openedAt: now, advancedAt: now, first: this.counters(),
      stalls: 0, longestStallMs: 0, inStall: false,
    };
  }

  /* Counts the gaps in which currentTime stands still, also one that lasts to the end. */
  watchStall(now) {
    const gapMs = now - this.window.advancedAt;
    const advanced = this.video.currentTime > this.lastTime;
    if (gapMs >= STALL_MS) {
      if (!this.window.inStall) this.window.stalls++;
      this.window.inStall = true;
      this.window.longestStallMs = Math.max(this.window.longestStallMs, gapMs);
    }
    if (advanced) {
      this.window.advancedAt = now;
      this.window.inStall = false;
      this.lastTime = this.video.currentTime;
    }
  }

  finish() {
    this.finished = true;
    clearInterval(this.timer);
    this.result = this.report();
    this.engine.destroy();
    this.video.remove();
  }

  report() {
    const { video, window: w, engine } = this;
    const last = this.counters();
    const first = w ? w.first : last;
    const buffered = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
    return {
      url: this.url,
      redirected_to: engine.redirectedTo,
      playing: Boolean(w),
      start_ms: w ? Math.round(w.openedAt - this.startedAt) : null,
      measured_s: w ? round((w.closedAt - w.openedAt) / 1000) : 0,
      progress_s: round(last.time - first.time),
      decoded_frames: last.frames - first.frames,
      dropped_frames: last.dropped - first.dropped,
      audio_decoded_bytes: last.audioBytes - first.audioBytes,
      has_video: Boolean(engine.tracks.video),
      has_audio: Boolean(engine.tracks.audio),
      width: video.videoWidth,
      height: video.videoHeight,
      codecs: engine.tracks,
      parts: engine.partCount ?? null,
      latency_s: engine.latency === null ? null : round(engine.latency),
      buffer_s: round(Math.max(0, buffered - video.currentTime)),
      stalls: w ? w.stalls : 0,
      longest_stall_ms: w ? Math.round(w.longestStallMs) : 0,
      ended_by_server: engine.ended,
      errors: engine.errors,
      ...(this.options.numberBits ? { shown: this.shown } : {}),
    };
  }
}

function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

/* Resolves with one report a URL, in order. */
function playAll(urls, options) {
  const playbacks = urls.map((url) => new Playback(url, options));
  playbacks.forEach((playback) => playback.start());
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!playbacks.every((playback) => playback.finished)) return;
      clearInterval(timer);
      resolve(playbacks.map((playback) => playback.result));
    }, SAMPLE_MS);
  });
}
