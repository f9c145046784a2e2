const HOME = '\x1b[H';
const CLEAR_SCREEN = '\x1b[2J';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
/** Clears the `^C` that the terminal shows below the last text. */
export const CLEAR_REST = `\r${CLEAR_BELOW}`;

/** Draws each text over the previous one, which avoids flicker. Cuts a text that would scroll. */
export function inPlace(height: () => number): (text: string) => string {
  let begin = CLEAR_SCREEN + HOME;
  return (text) => {
    const lines = text.trimEnd().split('\n');
    const room = Math.max(1, height() - 1);
    const shown = lines.length <= room ? lines : lines.slice(0, room - 1);
    if (shown.length < lines.length) shown.push(`… ${lines.length - shown.length} more lines`);
    const drawn = shown.map((line) => `${line}${CLEAR_LINE}\n`).join('');
    const piece = begin + drawn + CLEAR_BELOW;
    begin = HOME;
    return piece;
  };
}
