import { afterEach, beforeEach, expect, test } from 'vitest';
import { exportPrivateKeys, findExportable } from '../../../src/domain/keys/export.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import type { PrivateFile, Stores } from '../../../src/domain/ports/index.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';

let service: EmbeddedService;
let steps: string[];

beforeEach(async () => {
  service = await openEmbeddedService();
  await generateKeys(service.ports, { kid: 'k2', alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: 60 });
  steps = [];
});
afterEach(() => service.close());

/** Creates a file that records its calls, and may fail at one of these steps. */
function recordingFile(failing?: 'create' | 'write'): PrivateFile {
  const step = async (name: string) => {
    steps.push(`${name} with ${await rows()} rows`);
    if (name === failing) throw new Error(`The disk fails at ${name}.`);
  };
  return {
    path: '/tmp/keys.json',
    assertFree: async () => {},
    create: () => step('create'),
    append: () => step('write'),
    close: async () => {},
    discard: () => step('discard'),
  };
}

async function rows(): Promise<number> {
  const found = await service.db
    .selectFrom('audit_log')
    .selectAll()
    .where('action', '=', 'keys.export')
    .execute();
  return found.length;
}

async function exporting(
  file: PrivateFile,
  options: { stores?: Partial<Stores>; signal?: AbortSignal } = {},
) {
  const keys = await findExportable(service.database, undefined);
  const { stores = {}, signal } = options;
  const { database } = service;
  const ports = {
    ...service.ports,
    database: {
      ...database,
      transaction: <T>(work: (stores: Stores) => Promise<T>) =>
        database.transaction((opened) => work({ ...opened, ...stores })),
    },
  };
  return exportPrivateKeys(ports, {
    keys,
    format: 'jwks',
    file,
    ...(signal === undefined ? {} : { signal }),
  });
}

test('the audit log has a row for each key before the first byte is written', async () => {
  await exporting(recordingFile());
  expect(steps).toEqual(['create with 0 rows', 'write with 2 rows']);
});

test('writes no audit row if the file cannot be created', async () => {
  await expect(exporting(recordingFile('create'))).rejects.toThrow('create');
  expect(steps).toEqual(['create with 0 rows']);
});

test('removes a file that cannot be written, but keeps the audit row', async () => {
  await expect(exporting(recordingFile('write'))).rejects.toThrow('write');
  expect(steps).toEqual(['create with 0 rows', 'write with 2 rows', 'discard with 2 rows']);
});

test('writes no key if the audit log cannot be written', async () => {
  const auditLog = {
    ...service.database.auditLog,
    append: () => Promise.reject(new Error('The audit log is away.')),
  };
  await expect(exporting(recordingFile(), { stores: { auditLog } })).rejects.toThrow('audit log');
  expect(steps).toEqual(['create with 0 rows', 'discard with 0 rows']);
});

test('creates no file for a key that was retired meanwhile', async () => {
  const keys = await findExportable(service.database, undefined);
  await retireKey(service.ports, { kid: 'k2', force: true, dryRun: false, clockToleranceSeconds: 0 });
  await expect(
    exportPrivateKeys(service.ports, { keys, format: 'jwks', file: recordingFile() }),
  ).rejects.toMatchObject({ kind: 'state', code: 'ERR_PRIVATE_KEY_MISSING' });
  expect(steps).toEqual([]);
});

test('creates no file after an interrupt', async () => {
  await expect(exporting(recordingFile(), { signal: AbortSignal.abort() })).rejects.toThrow();
  expect(steps).toEqual([]);
});

test('refuses a row whose public key was replaced', async () => {
  const { publicKey } = (await service.database.keys.find('k1')) ?? {};
  const changed = { public_key: String(publicKey) };
  await service.db.updateTable('keystore').set(changed).where('kid', '=', 'k2').execute();
  await expect(exporting(recordingFile())).rejects.toMatchObject({ code: 'ERR_KEY_PAIR_MISMATCH' });
  expect(steps).toEqual([]);
});
