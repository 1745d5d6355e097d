/* In the page: one <video> and one mpegts.js player a URL, watched until it has played long enough,
 * failed or run out of time. play.js starts it and reads the reports. */
'use strict';

const SAMPLE_MS = 50;
const STALL_MS = 250; // shorter gaps are the granularity of currentTime, not a stop that people see

class Playback {
  constructor(url, options) {
    this.url = url;
    this.options = options;
    this.startedAt = performance.now();
    this.errors = [];
    this.loadingComplete = false;
    this.window = null; // the seconds that are measured: from the first moving picture or sound on
    this.finished = false;
    this.mediaInfo = {};
    this.redirectedTo = null;
  }

  start() {
    this.video = document.createElement('video');
    this.video.width = 320;
    document.body.append(this.video);
    this.video.addEventListener('error', () =>
      this.fail(`video: ${this.video.error.code} ${this.video.error.message}`));
    this.player = mpegts.createPlayer(
      { type: 'flv', isLive: true, cors: true, url: this.url },
      { isLive: true, enableWorker: false, enableStashBuffer: false });
    this.listen();
    this.player.attachMediaElement(this.video);
    this.player.load();
    Promise.resolve(this.player.play()).catch((e) => this.fail(`play: ${e.message}`));
    this.timer = setInterval(() => this.sample(), SAMPLE_MS);
  }

  listen() {
    this.player.on(mpegts.Events.ERROR, (type, detail, info) =>
      this.fail([type, detail, info && (info.msg || info.code)].filter(Boolean).join(': ')));
    this.player.on(mpegts.Events.LOADING_COMPLETE, () => { this.loadingComplete = true; });
    this.player.on(mpegts.Events.MEDIA_INFO, (info) => { this.mediaInfo = info; });
    this.player.on(mpegts.Events.STATISTICS_INFO, (info) => {
      if (info.hasRedirect) this.redirectedTo = info.redirectedURL;
    });
  }

  /* What the tear-down itself causes, such as the interrupted play(), is not an error. */
  fail(text) {
    if (!this.finished) this.errors.push(text);
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
      if (!this.window && (this.errors.length || this.loadingComplete ||
                           now - this.startedAt > this.options.startTimeoutMs)) this.finish();
      return;
    }
    this.watchStall(now);
    if (now - this.window.openedAt >= this.options.seconds * 1000 || this.errors.length) {
      this.window.closedAt = now;
      this.finish();
    }
  }

  openWindow(now) {
    const time = this.video.currentTime;
    const moved = this.lastTime !== undefined && time > this.lastTime;
    this.lastTime = time;
    if (!moved || this.video.paused) return;
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
    this.player.destroy();
    this.video.remove();
  }

  report() {
    const { video, window: w, mediaInfo } = this;
    const last = this.counters();
    const first = w ? w.first : last;
    const buffered = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
    return {
      url: this.url,
      redirected_to: this.redirectedTo,
      playing: Boolean(w),
      start_ms: w ? Math.round(w.openedAt - this.startedAt) : null,
      measured_s: w ? round((w.closedAt - w.openedAt) / 1000) : 0,
      progress_s: round(last.time - first.time),
      decoded_frames: last.frames - first.frames,
      dropped_frames: last.dropped - first.dropped,
      audio_decoded_bytes: last.audioBytes - first.audioBytes,
      has_video: Boolean(mediaInfo.hasVideo),
      has_audio: Boolean(mediaInfo.hasAudio),
      width: video.videoWidth,
      height: video.videoHeight,
      codecs: mediaInfo.mimeType || null,
      buffer_s: round(Math.max(0, buffered - video.currentTime)),
      stalls: w ? w.stalls : 0,
      longest_stall_ms: w ? Math.round(w.longestStallMs) : 0,
      ended_by_server: this.loadingComplete,
      errors: this.errors,
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
