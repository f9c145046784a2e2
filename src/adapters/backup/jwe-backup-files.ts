import { randomBytes } from 'node:crypto';
import { CompactEncrypt, type CompactJWEHeaderParameters, compactDecrypt } from 'jose';
import type {
  BackupEntry,
  BackupFacts,
  BackupFiles,
  BackupPart,
  BackupReader,
  BackupWriter,
} from '../../domain/ports/backup-file.js';
import type { ContentKeySealer, PrivateFile } from '../../domain/ports/index.js';
import {
  fileName,
  formatEntries,
  formatHeader,
  formatTrailer,
  parseEntries,
  parseHeader,
  parseTrailer,
} from './format.js';
import { linesOf } from './lines.js';

const CONTENT_KEY_BYTES = 32;
/** Several times the size of a full chunk with the longest subjects and meta. */
const MAX_LINE_BYTES = 33_554_432;
const MAX_CHUNK_BYTES = 67_108_864;

export class JweBackupFiles implements BackupFiles {
  readonly #sealer: ContentKeySealer;

  constructor(sealer: ContentKeySealer) {
    this.#sealer = sealer;
  }

  async create(file: PrivateFile, facts: BackupFacts): Promise<BackupWriter> {
    const contentKey = randomBytes(CONTENT_KEY_BYTES);
    const sealed = await this.#sealer.sealContentKey(fileName(facts), contentKey);
    await file.create();
    try {
      await file.append(`${formatHeader(facts, sealed)}\n`);
    } catch (error) {
      await file.discard();
      throw error;
    }
    return new Writer(file, contentKey);
  }

  async open(bytes: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal): Promise<BackupReader> {
    const lines = linesOf(bytes, MAX_LINE_BYTES);
    try {
      const first = await lines.next();
      // An aborted input is not a backup either.
      signal?.throwIfAborted();
      const { facts, key } = parseHeader(first.done ? '' : first.value.text, name);
      const contentKey = await this.#sealer.openContentKey(fileName(facts), key);
      return { facts, parts: () => readParts(lines, contentKey) };
    } catch (error) {
      // Tells the source to stop.
      await lines.return(undefined);
      throw error;
    }
  }
}

class Writer implements BackupWriter {
  readonly path: string;
  readonly #file: PrivateFile;
  readonly #contentKey: Uint8Array;
  #lines = 0;
  #hasFailed = false;

  constructor(file: PrivateFile, contentKey: Uint8Array) {
    this.path = file.path;
    this.#file = file;
    this.#contentKey = contentKey;
  }

  async append(entries: readonly BackupEntry[]): Promise<void> {
    await this.#appendLine(formatEntries(entries), {});
  }

  async finish(isWhole: boolean): Promise<void> {
    try {
      if (!this.#hasFailed) await this.#appendLine(formatTrailer(isWhole), { last: true });
    } finally {
      await this.#file.close();
    }
  }

  async abandon(): Promise<void> {
    await (this.#lines === 0 ? this.#file.discard() : this.#file.close());
  }

  async #appendLine(text: string, more: { last?: true }): Promise<void> {
    const chunk = this.#lines + 1;
    const line = await new CompactEncrypt(Buffer.from(text))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', zip: 'DEF', chunk, ...more })
      .encrypt(this.#contentKey);
    try {
      await this.#file.append(`${line}\n`);
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
    this.#lines = chunk;
  }
}

type Line = { text: string; isEnded: boolean };

/** Skips and reports damaged or misplaced lines, so that a damaged disk block costs one chunk. */
async function* readParts(lines: AsyncIterable<Line>, contentKey: Uint8Array): AsyncGenerator<BackupPart> {
  let next = 1;
  let isWhole: boolean | null = null;
  for await (const line of lines) {
    if (isWhole !== null) {
      yield lost('The file continues after its last line.');
      return;
    }
    const chunk = await openLine(line.text, contentKey);
    if (chunk === null) {
      // An incomplete last line: the run died before it removed these entries.
      if (!line.isEnded) break;
      yield lost(`Chunk ${next} cannot be decrypted: it was changed or damaged.`);
      next += 1;
      continue;
    }
    if (chunk.number < next) {
      yield lost(`Chunk ${chunk.number} is out of order and was skipped.`);
      continue;
    }
    if (chunk.number > next) yield lost(`${chunksBetween(next, chunk.number - 1)} missing.`);
    next = chunk.number + 1;
    if (chunk.isLast) {
      isWhole = parseTrailer(chunk.text);
      continue;
    }
    const entries = parseEntries(chunk.text);
    yield entries === null
      ? lost(`Chunk ${chunk.number} contains something other than entries.`)
      : { kind: 'entries', entries };
  }
  if (isWhole === null)
    yield lost(`The file ends after chunk ${next - 1}, without its last line. Later entries are missing.`);
  else if (!isWhole) yield lost('The run that wrote the file did not finish.');
}

interface Chunk {
  number: number;
  isLast: boolean;
  text: string;
}

async function openLine(line: string, contentKey: Uint8Array): Promise<Chunk | null> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(line, contentKey, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
      maxDecompressedLength: MAX_CHUNK_BYTES,
    });
    const { chunk, last } = protectedHeader as CompactJWEHeaderParameters & {
      chunk?: unknown;
      last?: unknown;
    };
    return { number: Number(chunk), isLast: last === true, text: Buffer.from(plaintext).toString() };
  } catch {
    return null;
  }
}

function lost(what: string): BackupPart {
  return { kind: 'lost', what };
}

function chunksBetween(first: number, last: number): string {
  return first === last ? `Chunk ${first} is` : `Chunks ${first} to ${last} are`;
}
