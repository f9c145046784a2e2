import { jwkSet } from '../../../domain/jose/jwk-set.js';
import { assertExportable, exportPrivateKeys, findExportable } from '../../../domain/keys/export.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { kidFileName, parseKid } from '../../../domain/model/kid.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import type { Outcome } from '../../output/view.js';
import { privateExport } from '../../output/views/keys/material.js';
import { jwkSetText, publicKeyPem } from '../../output/views/keys/signing-key.js';
import { contradiction, exactlyOne } from '../shared/flags.js';

export const defineExport: DefineCommand = (group, run) => {
  group
    .command('export')
    .description('Export public keys, or write private keys to a file.')
    .option('--jwks', 'export the JWK Set of all pending, active, and retiring keys (default)')
    .option('--pem', 'export one key in PEM format: SPKI, or PKCS#8 with --private; requires --kid')
    .option('--kid <kid>', 'key ID', parseKid)
    .option('--private', 'write unencrypted private keys to a new file that only its owner can read')
    .option(
      '--out <file>',
      'name of the file for --private (default: <kid>.private.pem or jwks.private.json)',
    )
    .examples('jwtctl keys export --jwks > jwks.json', 'jwtctl keys export --kid 2026-q1 --pem --private')
    .action(run(exportKeys));
};

interface ExportFlags {
  jwks?: true;
  pem?: true;
  kid?: string;
  private?: true;
  out?: string;
}

const exportKeys: Action<ExportFlags, []> = async (invocation, flags) => {
  assertExportFlags(flags);
  if (flags.private) return exportPrivate(invocation, flags);
  const database = await (await invocation.context({ migratesEmbedded: false })).database();
  if (flags.kid !== undefined) return { view: publicKeyPem(await requireKey(database, flags.kid)) };
  return { view: jwkSetText(jwkSet((await database.keys.snapshot()).keys)) };
};

function assertExportFlags(flags: ExportFlags): void {
  if (flags.pem) exactlyOne({ '--pem': flags.pem, '--jwks': flags.jwks });
  if (flags.pem && flags.kid === undefined) {
    throw contradiction('--pem requires --kid.', 'Run `jwtctl keys list` to see the key IDs.');
  }
  if (!flags.pem && flags.kid !== undefined) {
    throw contradiction('--kid requires --pem: a JWK Set contains all keys.');
  }
  if (!flags.private && flags.out !== undefined) {
    throw contradiction('--out requires --private: public keys are printed.');
  }
  if (flags.out === '-') throw contradiction('Private keys cannot be written to standard output.');
}

async function exportPrivate(invocation: Invocation, { kid, out }: ExportFlags): Promise<Outcome> {
  const { globals, signal } = invocation;
  const format = kid === undefined ? 'jwks' : 'pem';
  const file = invocation.privateFile(
    out ?? (kid === undefined ? 'jwks.private.json' : `${kidFileName(kid)}.private.pem`),
  );
  const context = await invocation.context();
  const { clock, actor } = context;
  const database = await context.database();
  const keys = await findExportable(database, kid);
  await file.assertFree();
  const view = privateExport({ file: file.path, format, kids: keys.map((key) => key.kid) }, globals.dryRun);
  const ports = { database, sealer: await context.sealer(), clock, actor };
  if (globals.dryRun) {
    await assertExportable(ports, keys);
    return { view };
  }

  const what = kid === undefined ? pluralize(keys.length, 'private key') : `the private key of key ${kid}`;
  await invocation.confirm(
    `Write ${what} to ${file.path}, unencrypted? Anyone who can read the file can sign tokens.`,
    kid ?? 'private',
  );
  await exportPrivateKeys(ports, { keys, format, file, signal });
  return {
    view,
    notes: ['Anyone who can read this file can sign tokens. Delete it as soon as you have copied it.'],
  };
}
