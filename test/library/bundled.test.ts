import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { ROOT } from '../support/documents.js';
import { spawnProgram } from '../support/spawned.js';
import { openStores } from '../support/stores.js';

test('an application that bundles the library reports the version of jwtctl', async () => {
  const stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  const folder = temporaryFolder();
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"version":"9.9.9"}');
  const data = join(stores.home, 'data', 'jwtctl', 'jwtctl.db');
  const program = `
    import { openVerifier } from ${JSON.stringify(join(ROOT, 'dist/index.js'))};
    import Database from 'libsql';
    (async () => {
      const verifier = await openVerifier({ data: ${JSON.stringify(data)} });
      const row = new Database(${JSON.stringify(data)}).prepare('SELECT heartbeat FROM registry_fleet').get();
      console.log(JSON.parse(row.heartbeat).version);
      await verifier.close();
    })();`;
  const outfile = join(folder, 'app', 'app.cjs');
  await build({
    ...{ stdin: { contents: program, resolveDir: folder }, outfile, logLevel: 'silent' },
    ...{ bundle: true, platform: 'node', format: 'cjs', external: ['libsql'] },
  });
  const { stdout, stderr } = await spawnProgram(process.execPath, [outfile], { env: stores.env });
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect([stderr, stdout]).toEqual(['', `${version}\n`]);
});
