// @ts-check
/**
 * Draws the output of a terminal as SVG, light or dark as the reader's system is. The position of each word does not
 * depend on the reader's font: words are fitted into their columns, and blocks are rectangles.
 */

const COLUMN = 8.4;
const LINE = 19;
const FONT_SIZE = 14;
const MARGIN = 16;
/** The distance from the top of a line to the feet of its letters. */
const BASELINE = 14;

/** @typedef {{ text: string, classes: string[] }} Run */

/**
 * @param {string} output lines with the codes for bold, dim, red, green, and yellow
 * @param {{ title: string, columns: number }} options `columns`: the least width
 */
export function ansiToSvg(output, { title, columns }) {
  const lines = output.trimEnd().split('\n').map(readLine);
  const lengths = lines.map((runs) => runs.reduce((sum, { text }) => sum + text.length, 0));
  const width = MARGIN * 2 + Math.max(columns, ...lengths) * COLUMN;
  const height = MARGIN * 2 + lines.length * LINE;
  const drawn = lines.flatMap((runs, row) => drawLine(runs, MARGIN + row * LINE));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}" role="img" aria-label="${escaped(title)}">
<title>${escaped(title)}</title>
<style>
svg { color: #1f2328; --screen: #f6f8fa; --frame: #d1d9e0; --faint: #59636e; --good: #116329; --warn: #7d4e00; --bad: #b42318 }
@media (prefers-color-scheme: dark) { svg { color: #d1d7e0; --screen: #151b23; --frame: #3d444d; --faint: #9198a1; --good: #4ac26b; --warn: #d4a72c; --bad: #ff7b72 } }
text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: currentColor; white-space: pre }
rect { fill: currentColor }
.screen { fill: var(--screen); stroke: var(--frame) }
.bold { font-weight: 600 }
.faint { color: var(--faint) }
.good { color: var(--good) }
.warn { color: var(--warn) }
.bad { color: var(--bad) }
</style>
<rect class="screen" x=".5" y=".5" width="${round(width - 1)}" height="${round(height - 1)}" rx="6"/>
${drawn.join('\n')}
</svg>
`;
}

/** @type {Readonly<Record<string, string>>} */
const CLASSES = { 1: 'bold', 2: 'faint', 31: 'bad', 32: 'good', 33: 'warn' };
/** @type {Readonly<Record<string, string[]>>} */
const ENDS = { 0: Object.values(CLASSES), 22: ['bold', 'faint'], 39: ['bad', 'good', 'warn'] };

/**
 * @param {string} line
 * @returns {Run[]}
 */
function readLine(line) {
  /** @type {Run[]} */
  const runs = [];
  /** @type {string[]} */
  let classes = [];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the codes begin with one
  for (const [, code, text] of line.matchAll(/\x1b\[(\d*)m|([^\x1b]+)/g)) {
    const [begun, ended] = [CLASSES[code || 0], ENDS[code || 0]];
    if (text !== undefined) runs.push({ text, classes });
    else if (begun !== undefined) classes = [...classes, begun];
    else if (ended !== undefined) classes = classes.filter((name) => !ended.includes(name));
    else throw new Error(`No class for the code ${code}.`);
  }
  return runs;
}

/**
 * @param {Run[]} runs
 * @param {number} top
 */
function drawLine(runs, top) {
  let column = 0;
  return runs.flatMap(({ text, classes }) => {
    const begin = column;
    column += text.length;
    const attribute = classes.length === 0 ? '' : ` class="${classes.join(' ')}"`;
    // Words with single spaces, and bars.
    return [...text.matchAll(/█*[▉▊▋▌▍▎▏]|█+|▒+|[^\s█-▒]+(?: [^\s█-▒]+)*/g)].map(({ 0: part, index }) => {
      const place = { x: MARGIN + (begin + index) * COLUMN, top, attribute };
      return /[█-▒]/.test(part) ? drawBar(part, place) : drawWords(part, place);
    });
  });
}

/**
 * @param {string} text
 * @param {{ x: number, top: number, attribute: string }} place
 */
function drawWords(text, { x, top, attribute }) {
  const length = round(text.length * COLUMN);
  return `<text x="${round(x)}" y="${round(top + BASELINE)}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${attribute}>${escaped(text)}</text>`;
}

/**
 * @param {string} bar
 * @param {{ x: number, top: number, attribute: string }} place
 */
function drawBar(bar, { x, top, attribute }) {
  const eighths = [...bar].reduce((sum, block) => sum + (1 + '▏▎▍▌▋▊▉'.indexOf(block) || 8), 0);
  const shade = bar.startsWith('▒') ? ' fill-opacity=".45"' : '';
  return `<rect x="${round(x)}" y="${round(top + 2)}" width="${round((eighths / 8) * COLUMN)}" height="${LINE - 3}"${shade}${attribute}/>`;
}

function round(/** @type {number} */ length) {
  return Math.round(length * 100) / 100;
}

function escaped(/** @type {string} */ text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
