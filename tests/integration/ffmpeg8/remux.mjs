// Copies packets with FFmpeg's own libraries, as "ffmpeg -c copy" would: files to a server, or a server to
// standard output as one JSON line with what came.
//   remux.mjs publish URL FORMAT FILE...   each stream of each file becomes a track; in real time
//   remux.mjs play URL SECONDS [OPTION=VALUE...]
import { Dictionary, FormatContext, Packet } from 'node-av/lib';
import { createHash } from 'node:crypto';

function check(code, what) {
  if (code < 0) throw new Error(`${what}: ${code}`);
  return code;
}

function dictionary(pairs) {
  return pairs.length ? Dictionary.fromObject(Object.fromEntries(pairs)) : null;
}

async function open(url, options = []) {
  const input = new FormatContext();
  check(await input.openInput(url, null, dictionary(options)), `open ${url}`);
  check(await input.findStreamInfo(null), 'find streams');
  return input;
}

const seconds = (time, base) => (Number(time) * base.num) / base.den;

// The next packet of each file; the earliest of all goes first.
async function* interleaved(sources) {
  for (const s of sources) s.alive = true;
  const pull = async (s) => {
    s.packet = new Packet();
    s.packet.alloc();
    const code = await s.input.readFrame(s.packet);
    if (code < 0) s.alive = false;
  };
  for (const s of sources) await pull(s);
  for (;;) {
    let first = null;
    for (const s of sources) {
      if (!s.alive) continue;
      s.at = seconds(s.packet.dts, s.input.streams[s.packet.streamIndex].timeBase);
      if (!first || s.at < first.at) first = s;
    }
    if (!first) return;
    yield { source: first, packet: first.packet, at: first.at };
    first.packet.free();
    await pull(first);
  }
}

async function publish(url, format, files) {
  const sources = [];
  const output = new FormatContext();
  check(output.allocOutputContext2(null, format, url), 'output');
  for (const file of files) {
    const input = await open(file);
    const map = input.streams.map((from) => {
      const to = output.newStream(null);
      check(from.codecpar.copy(to.codecpar), 'copy parameters');
      to.codecpar.codecTag = 0;
      to.timeBase = from.timeBase;
      return to;
    });
    sources.push({ input, map });
  }
  check(await output.openOutput(), `open ${url}`);
  check(await output.writeHeader(null), 'write header');
  const begin = Date.now();
  for await (const { source, packet, at } of interleaved(sources)) {
    const wait = at * 1000 - (Date.now() - begin);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const from = source.input.streams[packet.streamIndex];
    const to = source.map[packet.streamIndex];
    packet.rescaleTs(from.timeBase, to.timeBase);
    packet.streamIndex = to.index;
    check(await output.interleavedWriteFrame(packet), 'write');
  }
  check(await output.writeTrailer(), 'write trailer');
  await output.closeOutput();
}

async function play(url, limit, options) {
  const input = await open(url, options);
  const tracks = {};
  const packet = new Packet();
  const begin = Date.now();
  packet.alloc();
  while (Date.now() - begin < limit * 1000) {
    const code = await input.readFrame(packet);
    if (code < 0) break;
    const s = input.streams[packet.streamIndex];
    const track = (tracks[packet.streamIndex] ??= {
      codec: s.codecpar.codecId, type: s.codecpar.codecType, extradata: s.codecpar.extradata?.length ?? 0,
      time_base: [s.timeBase.num, s.timeBase.den], ticks: [], packets: [],
    });
    track.ticks.push([Number(packet.dts), Number(packet.pts)]);
    const md5 = createHash('md5').update(packet.data ?? Buffer.alloc(0)).digest('hex');
    track.packets.push([Math.round(seconds(packet.dts, s.timeBase) * 1000), Math.round(seconds(packet.pts, s.timeBase) * 1000), md5]);
    packet.unref();
  }
  console.log(JSON.stringify(Object.values(tracks)));
}

const [, , command, url, third, ...rest] = process.argv;
try {
  if (command === 'publish') await publish(url, third, rest);
  else await play(url, Number(third), rest.map((text) => text.split(/=(.*)/s).slice(0, 2)));
  process.exit(0);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
