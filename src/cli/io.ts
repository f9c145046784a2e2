import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable, type Writable } from 'node:stream';
import type { LineSource } from '../domain/batch/line-batches.js';
import type { Clock } from '../domain/ports/index.js';
import { decodeAnyText } from '../domain/shared/decode-text.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { openFault } from '../domain/shared/open-fault.js';
import { fileNameShown } from '../domain/shared/text.js';
import type { RecordFormat, RecordKind } from './input/records.js';

export type { RecordFormat };

export interface Io {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  stderr: Writable & { isTTY?: boolean; columns?: number };
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  clock?: Clock;
}

export interface Readers {
  /** Reads `-` from standard input and `@file` from a file; other values are the text. Drops one newline. */
  readText(value: string): Promise<string>;
  /**
   * `-` reads standard input; anything else, with or without `@`, is a file name.
   * @throws JwtctlError (usage) `ERR_FILE_UNREADABLE`; `ERR_FILE_TOO_LARGE` for more than `maxBytes`
   */
  readFile(name: string, maxBytes?: number): Promise<string>;
  /** Reads the bytes of a key from `-` or from a file, which is checked like every secret file. */
  readKey(name: string, flag: string, maxBytes: number): Promise<Uint8Array>;
  /** Reads a one-line secret like {@link readKey}. */
  readSecret(name: string, flag: string): Promise<string>;
}

/** An open input. It can be read once, in one of these ways. */
export interface Input {
  /** The name for messages: `standard input`, for example. */
  readonly name: string;
  chunks(): AsyncIterable<Uint8Array>;
  /**
   * Reads plain lines, a CSV with a header, or NDJSON. Default: by name, else by content.
   *
   * @throws JwtctlError (usage) `ERR_FILE_KIND_UNKNOWN`, `ERR_CSV_HEADER_INVALID`, before anything is done
   */
  records(kind: RecordKind, format?: RecordFormat): Promise<LineSource<Record<string, unknown>>>;
  /** Returns the fraction already read, from 0 to 1; null if the length is unknown. */
  fractionRead(): number | null;
}

/** @param warn gets warnings about files that other users can read */
export function createReaders(io: Io, signal: AbortSignal, warn: (text: string) => void): Readers {
  /** Reads standard input or a file opened by the shell. Returns null for other files, which need a check. */
  const readUnchecked = async (name: string, file: string, maxBytes: number) => {
    if (name === '-') return readStdin(io, signal, maxBytes);
    const { isInherited } = await import('../app/trusted-file.js');
    return isInherited(file) ? readNamed(file, io, signal, maxBytes) : null;
  };
  const pathOf = (name: string) => resolve(io.cwd, name.replace(/^@/, ''));
  return {
    readText: async (value) => {
      if (value === '-') return withoutNewline(decodeAnyText(await readStdin(io, signal)));
      return value.startsWith('@')
        ? withoutNewline(decodeAnyText(await readNamed(value.slice(1), io, signal)))
        : value;
    },
    readFile: async (name, maxBytes) =>
      decodeAnyText(
        await (name === '-'
          ? readStdin(io, signal, maxBytes)
          : readNamed(name.replace(/^@/, ''), io, signal, maxBytes)),
      ),
    readKey: async (name, flag, maxBytes) => {
      const file = pathOf(name);
      const bytes = await readUnchecked(name, file, maxBytes);
      if (bytes !== null) return bytes;
      const { readKeyFile } = await import('../config/secrets/secret-files.js');
      return readKeyFile(file, { setting: flag, warn }, maxBytes);
    },
    readSecret: async (name, flag) => {
      const file = pathOf(name);
      const bytes = await readUnchecked(name, file, MAX_SECRET_BYTES);
      if (bytes !== null) return withoutNewline(decodeAnyText(bytes));
      const { readSecretFile } = await import('../config/secrets/secret-files.js');
      return readSecretFile(file, { setting: flag, warn });
    },
  };
}

const MAX_SECRET_BYTES = 4096;

export async function openInput(
  name: string,
  io: Io,
  signal: AbortSignal,
): Promise<{ input: Input; close(): void }> {
  const [{ openSource }, { readRecords }] = await Promise.all([
    import('./input/source.js'),
    import('./input/records.js'),
  ]);
  const source = await openSource(name, { stdin: io.stdin, cwd: io.cwd, signal });
  const { close, chunks, fractionRead } = source;
  const input: Input = {
    ...{ name: source.name, chunks, fractionRead },
    records: async (kind, format) => ({ close, lines: await readRecords(source, kind, format) }),
  };
  return { input, close };
}

/** Some terminals report 0 for an unknown size. */
export function screenOf({ stdout }: Io): { columns: number | null; rows: number | null } {
  return { columns: columnsOf(stdout), rows: stdout.rows || null };
}

/** Returns null without a terminal, because a pipe gets the full width. */
export function columnsOf({ isTTY, columns }: { isTTY?: boolean; columns?: number }): number | null {
  return isTTY === true ? columns || FALLBACK_COLUMNS : null;
}

const FALLBACK_COLUMNS = 80;

function readStdin(io: Io, signal: AbortSignal, maxBytes?: number): Promise<Buffer> {
  return readAll(addAbortSignal(signal, io.stdin), 'Standard input', maxBytes);
}

async function readNamed(file: string, io: Io, signal: AbortSignal, maxBytes?: number): Promise<Buffer> {
  try {
    const stream = createReadStream(resolve(io.cwd, file), { signal });
    return await readAll(stream, `The file ${fileNameShown(file)}`, maxBytes);
  } catch (cause) {
    if (cause instanceof JwtctlError || signal.aborted) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new JwtctlError(
      'ERR_FILE_UNREADABLE',
      `The file ${fileNameShown(file)} ${openFault(code ?? 'unknown error')}.`,
      { cause },
    );
  }
}

/** Reads no more than `maxBytes`, because a device may never end. */
async function readAll(source: Readable, what: string, maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBytes) {
      throw new JwtctlError('ERR_FILE_TOO_LARGE', `${what} is larger than ${maxBytes} bytes.`);
    }
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}
