/** Latency distributions as a picture: every percentile of every subject, both axes logarithmic. */
import type { Histogram } from '../measure/histogram.ts';

export interface Line {
  readonly name: string;
  readonly times: Histogram;
}

const WIDTH = 860;
const HEIGHT = 440;
const BOX = { left: 70, right: 640, top: 50, bottom: 390 };
const SHARES = [0.5, 0.9, 0.99, 0.999, 0.9999];
/** Told apart in greyscale and by colour-blind readers as well (Okabe and Ito), and by their dashes. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const DASHES = ['', '7 4', '2 3', '10 3 2 3', '4 2', '12 4', ''];

export function latencyPicture(title: string, lines: readonly Line[]): string {
  const seen = lines.filter(({ times }) => times.count > 0);
  const times = seen.flatMap(({ times: h }) => [h.quantile(0.01), h.quantile(Math.min(0.9999, 1 - 1 / h.count))]);
  const low = 10 ** Math.floor(Math.log10(Math.min(...times)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...times)));
  const x = (share: number): number =>
    BOX.left + ((BOX.right - BOX.left) * -Math.log10(1 - share)) / -Math.log10(1 - 0.9999);
  const y = (ms: number): number =>
    BOX.bottom - ((BOX.bottom - BOX.top) * Math.log10(ms / low)) / Math.log10(high / low);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(BOX.left, 26, title, 'font-size="16" font-weight="bold"'),
  ];
  for (let ms = low; ms <= high * 1.001; ms *= 10) {
    parts.push(
      rule(BOX.left, y(ms), BOX.right, y(ms)),
      text(BOX.left - 8, y(ms) + 4, `${label(ms)} ms`, 'text-anchor="end"'),
    );
  }
  for (const share of [0, ...SHARES]) {
    const name = share === 0 ? 'fastest' : `p${+(share * 100).toFixed(2)}`;
    parts.push(
      rule(x(share), BOX.top, x(share), BOX.bottom),
      text(x(share), BOX.bottom + 20, name, 'text-anchor="middle"'),
    );
  }
  for (const [i, { name, times: histogram }] of seen.entries()) {
    const colour = COLOURS[i % COLOURS.length];
    const dash = DASHES[i % DASHES.length];
    const style = `stroke="${colour}" stroke-width="2.5" fill="none"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`;
    const points = shares(histogram.count).map(
      (share) => `${x(share).toFixed(1)},${y(histogram.quantile(share)).toFixed(1)}`,
    );
    const at = BOX.top + 14 + i * 40;
    parts.push(
      `<polyline points="${points.join(' ')}" ${style}/>`,
      `<line x1="${BOX.right + 16}" y1="${at}" x2="${BOX.right + 48}" y2="${at}" ${style}/>`,
      text(BOX.right + 54, at + 4, name),
      text(
        BOX.right + 54,
        at + 20,
        `p50 ${label(histogram.quantile(0.5))} · p99 ${label(histogram.quantile(0.99))} ms`,
        'fill="#555" font-size="11"',
      ),
    );
  }
  return `${[...parts, '</svg>'].join('\n')}\n`;
}

/** Percentiles to draw, up to where the slowest single message would be a percentile. */
function shares(count: number): number[] {
  const last = Math.min(0.9999, 1 - 1 / count);
  const all: number[] = [];
  for (let nines = 0; nines <= -Math.log10(1 - last); nines += 0.05) all.push(1 - 10 ** -nines);
  return all;
}

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="#ddd"/>`;
}

function text(x: number, y: number, words: string, more = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="#222" ${more}>${escaped(words)}</text>`;
}

function label(ms: number): string {
  return String(+ms.toPrecision(2));
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
