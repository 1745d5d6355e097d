/* In the page: what plays a URL in a <video>. Each engine has start(), destroy() and these, for who
 * samples it: errors (a live stream failed), ended (by the server), tracks ({video, audio}: codecs),
 * redirectedTo, latency (as the player itself reckons, in seconds). */
'use strict';

class Engine {
  constructor(url, video) {
    this.url = url;
    this.video = video;
    this.errors = [];
    this.ended = false;
    this.tracks = {};
    this.redirectedTo = null;
    this.latency = null;
    this.finished = false;
  }

  /* What the tear-down itself causes, such as an interrupted play(), is not an error. */
  fail(text) {
    if (!this.finished) this.errors.push(text);
  }

  play() {
    Promise.resolve(this.video.play()).catch((e) => this.fail(`play: ${e.message}`));
  }

  destroy() {
    this.finished = true;
  }
}

/* FLV and MPEG-TS, over HTTP or a WebSocket. */
class MpegtsEngine extends Engine {
  start() {
    const type = new URL(this.url).pathname.endsWith('.ts') ? 'mpegts' : 'flv';
    this.player = mpegts.createPlayer(
      { type, isLive: true, cors: true, url: this.url },
      { isLive: true, enableWorker: false, enableStashBuffer: false });
    this.player.on(mpegts.Events.ERROR, (kind, detail, info) =>
      this.fail([kind, detail, info && (info.msg || info.code)].filter(Boolean).join(': ')));
    this.player.on(mpegts.Events.LOADING_COMPLETE, () => { this.ended = true; });
    this.player.on(mpegts.Events.MEDIA_INFO, (info) => {
      if (info.hasVideo) this.tracks.video = info.videoCodec || 'yes';
      if (info.hasAudio) this.tracks.audio = info.audioCodec || 'yes';
    });
    this.player.on(mpegts.Events.STATISTICS_INFO, (info) => {
      if (info.hasRedirect) this.redirectedTo = info.redirectedURL;
    });
    this.player.attachMediaElement(this.video);
    this.player.load();
    this.play();
  }

  destroy() {
    super.destroy();
    this.player.destroy();
  }
}

/* HLS. "#normal" behind the URL: segments alone, as players without low latency do it. */
class HlsEngine extends Engine {
  start() {
    const [url, mode] = this.url.split('#');
    this.hls = new Hls({
      lowLatencyMode: mode !== 'normal',
      maxLiveSyncPlaybackRate: 1.5, // goes back to PART-HOLD-BACK when the start took time; low latency alone
      enableWorker: false,
    });
    this.hls.on(Hls.Events.ERROR, (_, data) => this.hear(data));
    this.hls.on(Hls.Events.BUFFER_CREATED, (_, data) => {
      for (const kind of Object.keys(data.tracks)) this.note(kind, data.tracks[kind].codec);
    });
    this.hls.on(Hls.Events.MANIFEST_LOADED, (_, data) => {
      if (data.url !== url) this.redirectedTo = data.url;
    });
    this.hls.on(Hls.Events.LEVEL_UPDATED, (_, data) => {
      this.latency = this.hls.latency;
      this.partCount = data.details.partList ? data.details.partList.length : 0;
      if (!data.details.live) this.ended = true;
    });
    this.hls.attachMedia(this.video);
    this.hls.loadSource(url);
    this.play();
  }

  note(kind, codec) {
    if (kind === 'audiovideo') [this.tracks.video, this.tracks.audio] = ['yes', 'yes'];
    else this.tracks[kind] = codec || 'yes';
  }

  /* Also what hls.js gets over by itself, such as a gap that it jumps over, but not how it finds its
   * place at the start. A buffer that ran dry is measured as a stall. Outside of low latency hls.js gives the
   * last part of a segment that has not begun 0.8 target durations to come, gives up, and asks again. */
  hear(data) {
    const harmless = !hasPlayed(this.video) || data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR
      || (data.details === Hls.ErrorDetails.LEVEL_LOAD_TIMEOUT && !this.hls.config.lowLatencyMode);
    if (data.fatal || !harmless)
      this.fail(`${data.type}: ${data.details}: ${data.reason || data.error?.message || ''}`);
  }

  destroy() {
    super.destroy();
    this.hls.destroy();
  }
}

function hasPlayed({ played }) {
  return played.length > 0 && played.end(played.length - 1) > played.start(0);
}

/* Progressive MP4, over HTTP or a WebSocket, with nothing but Media Source Extensions. */
class MseEngine extends Engine {
  start() {
    this.queue = [];
    this.head = new Uint8Array(0); // until the init section is whole
    this.media = new MediaSource();
    this.stop = new AbortController();
    this.video.src = URL.createObjectURL(this.media);
    this.media.addEventListener('sourceopen', () => this.open(), { once: true });
    this.play();
  }

  open() {
    const read = /^ws/.test(this.url) ? this.readSocket() : this.readHttp();
    read.catch((e) => this.fail(`${e.name}: ${e.message}`));
  }

  async readHttp() {
    const response = await fetch(this.url, { signal: this.stop.signal });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    if (response.redirected) this.redirectedTo = response.url;
    for await (const bytes of chunksOf(response.body)) this.take(bytes);
    this.ended = true;
  }

  readSocket() {
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = 'arraybuffer';
    return new Promise((_, reject) => {
      this.socket.onmessage = (event) => {
        try {
          this.take(new Uint8Array(event.data));
        } catch (e) {
          reject(e);
        }
      };
      this.socket.onerror = () => reject(new Error('the WebSocket failed'));
      this.socket.onclose = () => { this.ended = true; };
    });
  }

  take(bytes) {
    if (this.finished) return;
    if (this.buffer) this.queue.push(bytes);
    else this.takeInit(bytes);
    this.feed();
  }

  takeInit(bytes) {
    this.head = joined(this.head, bytes);
    const size = initSize(this.head);
    if (size) this.begin(size);
  }

  begin(size) {
    this.tracks = codecsOf(this.head.subarray(0, size));
    const mime = `video/mp4; codecs="${Object.values(this.tracks).join(',')}"`;
    if (!MediaSource.isTypeSupported(mime)) throw new Error(`${mime} is not supported`);
    this.buffer = this.media.addSourceBuffer(mime);
    this.buffer.addEventListener('updateend', () => this.feed());
    this.buffer.addEventListener('error', () => this.fail('the SourceBuffer refuses the bytes'));
    this.queue.push(this.head);
  }

  /* Times are those of the stream: play from where it was joined. */
  feed() {
    if (this.finished || !this.buffer || this.buffer.updating) return;
    const { buffered } = this.video;
    if (buffered.length && this.video.currentTime < buffered.start(0))
      this.video.currentTime = buffered.start(0);
    if (this.queue.length) this.buffer.appendBuffer(this.queue.shift());
  }

  destroy() {
    super.destroy();
    this.stop.abort();
    if (this.socket) this.socket.close();
    this.video.removeAttribute('src');
    this.video.load();
  }
}

/* Chromium's ReadableStream has no async iterator in every version. */
async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (let got = await reader.read(); !got.done; got = await reader.read()) yield got.value;
}

function joined(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/* Bytes up to the end of the moov box; 0 when it is not there yet. */
function initSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (size < 8) throw new Error(`box ${type} of ${size} bytes`);
    at += size;
    if (type === 'moov') return at <= bytes.length ? at : 0;
  }
  return 0;
}

/* RFC 6381 names, read from an init section. */
function codecsOf(init) {
  const text = new TextDecoder('latin1').decode(init);
  const tracks = {};
  const avc = text.indexOf('avcC');
  if (avc >= 0) {
    const hex = [...init.subarray(avc + 5, avc + 8)].map((byte) => byte.toString(16).padStart(2, '0'));
    tracks.video = `avc1.${hex.join('')}`;
  }
  if (text.includes('mp4a')) tracks.audio = 'mp4a.40.2';
  return tracks;
}

function engineOf(url, video) {
  const kinds = { '.flv': MpegtsEngine, '.ts': MpegtsEngine, '.mp4': MseEngine, '.m3u8': HlsEngine };
  const suffix = new URL(url).pathname.match(/\.\w+$/);
  const kind = suffix && kinds[suffix[0]];
  if (!kind) throw new Error(`nothing plays ${url}`);
  return new kind(url, video);
}
