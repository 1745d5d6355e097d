/* Figures as people read them. */

const SCALE = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];

function scaled(value, unit, digits = 3) {
  for (const [size, letter] of SCALE)
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(digits))} ${letter}${unit}`.trim();
  return `${Math.round(value)} ${unit}`.trim();
}

export const count = (n) => (n < 10000 ? String(Math.round(n)) : scaled(n, '').replace(' ', ''));
export const bps = (n) => (n === null || n === undefined ? '–' : scaled(n, 'bit/s'));
export const bytes = (n) => scaled(n, 'B');
export const percent = (permille) => `${(permille / 10).toFixed(permille < 100 ? 1 : 0)} %`;

export function lag(us) {
  if (us === null || us === undefined) return '–';
  if (us < 1000) return '<1 ms';
  return us < 1e6 ? `${Math.round(us / 1000)} ms` : `${(us / 1e6).toFixed(1)} s`;
}

export function duration(ms) {
  const sec = Math.floor(ms / 1000);
  if (sec < 60) return `${sec} s`;
  if (sec < 3600) return `${Math.floor(sec / 60)} min ${sec % 60} s`;
  if (sec < 86400) return `${Math.floor(sec / 3600)} h ${Math.floor((sec % 3600) / 60)} min`;
  return `${Math.floor(sec / 86400)} d ${Math.floor((sec % 86400) / 3600)} h`;
}

const CODECS = { h264: 'H.264', hevc: 'HEVC', av1: 'AV1', vp9: 'VP9', vp8: 'VP8', aac: 'AAC', opus: 'Opus',
                 mp3: 'MP3', ac3: 'AC-3', eac3: 'E-AC-3', flac: 'FLAC' };
export const codec = (name) => CODECS[name] ?? name;
export const codecs = (tracks) => (tracks?.length
  ? [...tracks].sort((a, b) => (a.kind < b.kind ? 1 : -1)).map((t) => codec(t.codec)).join(' + ') : '–');
