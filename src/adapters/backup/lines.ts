/** Yields lines without their newlines; a line of more than `maxBytes` is empty, to limit the memory. */
export async function* linesOf(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<{ text: string; isEnded: boolean }> {
  let parts: Buffer[] = [];
  let size = 0;
  const add = (bytes: Buffer) => {
    size += bytes.length;
    if (size > maxBytes) parts = [];
    else parts.push(bytes);
  };
  const take = (): string => {
    const text = Buffer.concat(parts).toString();
    parts = [];
    size = 0;
    return text;
  };
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, from);
      if (end === -1) break;
      add(bytes.subarray(from, end));
      yield { text: take(), isEnded: true };
      from = end + 1;
    }
    if (from < bytes.length) add(bytes.subarray(from));
  }
  if (size > 0) yield { text: take(), isEnded: false };
}

const NEWLINE = 0x0a;
