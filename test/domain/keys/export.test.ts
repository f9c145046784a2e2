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

/** A file that notes what is done with it, and may fail at one of these steps. */
function notingFile(failing?: 'create' | 'write'): PrivateFile {
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
  await exporting(notingFile());
  expect(steps).toEqual(['create with 0 rows', 'write with 2 rows']);
});

test('a file that cannot be made is neither written nor told of', async () => {
  await expect(exporting(notingFile('create'))).rejects.toThrow('create');
  expect(steps).toEqual(['create with 0 rows']);
});

test('a file that cannot be written is removed, and told of: some of it may have been read', async () => {
  await expect(exporting(notingFile('write'))).rejects.toThrow('write');
  expect(steps).toEqual(['create with 0 rows', 'write with 2 rows', 'discard with 2 rows']);
});

test('what the audit log cannot tell of is not written', async () => {
  const auditLog = {
    ...service.database.auditLog,
    append: () => Promise.reject(new Error('The audit log is away.')),
  };
  await expect(exporting(notingFile(), { stores: { auditLog } })).rejects.toThrow('audit log');
  expect(steps).toEqual(['create with 0 rows', 'discard with 0 rows']);
});

test('a key that ended while somebody was asked leaves no file', async () => {
  const keys = await findExportable(service.database, undefined);
  await retireKey(service.ports, { kid: 'k2', force: true, dryRun: false, clockToleranceSeconds: 0 });
  await expect(
    exportPrivateKeys(service.ports, { keys, format: 'jwks', file: notingFile() }),
  ).rejects.toMatchObject({ kind: 'state', code: 'ERR_PRIVATE_KEY_MISSING' });
  expect(steps).toEqual([]);
});

test('an interrupt before the file is made leaves none', async () => {
  await expect(exporting(notingFile(), { signal: AbortSignal.abort() })).rejects.toThrow();
  expect(steps).toEqual([]);
});

test('a row whose public key was exchanged is not written under its kid', async () => {
  const { publicKey } = (await service.database.keys.find('k1')) ?? {};
  const changed = { public_key: String(publicKey) };
  await service.db.updateTable('keystore').set(changed).where('kid', '=', 'k2').execute();
  await expect(exporting(notingFile())).rejects.toMatchObject({ code: 'ERR_KEY_PAIR_MISMATCH' });
  expect(steps).toEqual([]);
});
