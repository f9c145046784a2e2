const HOME = '\x1b[H';
const CLEAR_SCREEN = '\x1b[2J';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
/** What is behind the last text: a terminal shows there that Ctrl-C was pressed. */
export const CLEAR_REST = `\r${CLEAR_BELOW}`;

/**
 * Draws texts over each other. Each comes as one piece, over what is there and not after clearing it, so that nothing
 * flickers. The cursor stays visible and below the text: however the run ends, there is nothing to put right.
 *
 * @param height of the terminal at this moment; a text that is taller is cut, because it would scroll
 * @returns what to write for the next text
 */
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
