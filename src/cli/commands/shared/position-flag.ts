import { parsePosition, type StreamPosition } from '../../../domain/event-stream/position.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';

/** Accepts a position, or only the number of a row in the audit log. */
export function positionFlag(text: string): StreamPosition {
  const position = parsePosition(text);
  if (position !== null) return position;
  throw new JwtctlError(
    'ERR_FLAG_INVALID',
    `--from is '${excerpt(text)}'; expected the position of an event, such as 482-9f3c21d0aa11bb22, or 0.`,
  );
}
