import { type Command, Option } from 'commander';
import { jwkSet } from '../../../domain/jose/jwk-set.js';
import { exportPrivateKeys, findExportable, type PrivateExportFormat } from '../../../domain/keys/export.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { importKeys, type KeyImportOutcome, nameKeys } from '../../../domain/keys/import.js';
import { readPrivateJwks } from '../../../domain/keys/private-jwk.js';
import { type KeyInFile, MAX_KEY_FILE_BYTES } from '../../../domain/keys/private-key.js';
import { readPrivatePem } from '../../../domain/keys/private-pem.js';
import { type RewrapReport, rewrapKeys } from '../../../domain/keys/rewrap.js';
import { parseKid } from '../../../domain/model/kid.js';
import { SIGNING_ALGORITHMS, type SigningAlgorithm } from '../../../domain/model/signing-key.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, Invocation, Run } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { pluralize } from '../../output/pluralize.js';
import type { Outcome } from '../../output/view.js';
import { rewrapReport } from '../../output/views/key-custody.js';
import { importedKeys, privateExport } from '../../output/views/key-material.js';
import { jwkSetText, publicKeyPem } from '../../output/views/keys.js';
import { examples } from '../shared/examples.js';
import { exactlyOne } from '../shared/flags.js';

/** The verbs by which private keys come in, go out and are sealed. */
export function defineKeyMaterial(group: Command, run: Run): void {
  group
    .command('import')
    .description(
      'add a key pair that was made elsewhere: the first of a store signs at once, later ones are pending',
    )
    .option('--pem <file>', 'a private key as PKCS#8 or PKCS#1 PEM, encrypted or not; - reads standard input')
    .option('--jwk <file>', 'a private JWK, or a JWK Set: all of its keys or none; - reads standard input')
    .option('--kid <kid>', "name of a single key (default: the JWK's, or its RFC 7638 thumbprint)", parseKid)
    .addOption(
      new Option('--alg <alg>', "signature algorithm (default: the JWK's, or keys.algorithm)").choices(
        SIGNING_ALGORITHMS,
      ),
    )
    .option('--passphrase-file <file>', 'what opens an encrypted PEM; one trailing newline is dropped')
    .addHelpText(
      'after',
      examples(
        'jwtctl keys import --pem key.pem --kid 2026-q1',
        'jwtctl keys import --jwk jwks.private.json',
      ),
    )
    .action(run(importFile));

  group
    .command('export')
    .description('print the public keys that verifiers need, or write private ones into a file')
    .option('--jwks', 'the JWK Set of all pending, active and retiring keys (the default)')
    .option('--pem', 'one key as an SPKI PEM, with --private as a PKCS#8 PEM; needs --kid')
    .option('--kid <kid>', 'which key', parseKid)
    .option('--private', 'the private keys, unsealed, into a new file that only its owner may read')
    .option('--out <file>', 'that file (default: <kid>.private.pem, jwks.private.json)')
    .addHelpText(
      'after',
      examples('jwtctl keys export --jwks > jwks.json', 'jwtctl keys export --kid 2026-q1 --pem --private'),
    )
    .action(run(exportKeys));

  group
    .command('rewrap')
    .description(
      "seal every private key under the keyring's first master key; safe to cut off and to run again",
    )
    .addHelpText('after', examples('jwtctl keys rewrap', 'jwtctl keys rewrap --dry-run'))
    .action(run(rewrap));
}

const rewrap: Action<object, []> = async ({ context: open, globals, signal }) => {
  const context = await open();
  const { clock, actor } = context;
  const [database, sealer] = await Promise.all([context.database(), context.sealer()]);
  const { dryRun } = globals;
  const report = await rewrapKeys({ database, sealer, clock, actor }, { dryRun, signal });
  return {
    view: rewrapReport(report, dryRun),
    exitCode: report.failed.length === 0 ? EXIT.done : EXIT.partial,
    warnings: rewrapWarnings(report),
  };
};

function rewrapWarnings({ failed, left }: RewrapReport): string[] {
  return [
    ...failed.map(({ message, hint }) => (hint === undefined ? message : `${message} ${hint}`)),
    ...(left.length === 0 ? [] : [`Not moved: ${left.join(', ')}. Run the same command again.`]),
  ];
}

interface ImportFlags {
  pem?: string;
  jwk?: string;
  kid?: string;
  alg?: SigningAlgorithm;
  passphraseFile?: string;
}

const importFile: Action<ImportFlags, []> = async (invocation, flags) => {
  assertImportFlags(flags);
  const { isSet, keys: filed } = await readKeys(invocation, flags);
  if (flags.kid !== undefined && filed.length > 1) {
    throw contradiction(`--kid names one key, and the set holds ${filed.length}.`);
  }
  const context = await invocation.context();
  const { settings, actor } = context;
  const { kid, alg } = flags;
  const keys = nameKeys(filed, {
    ...(kid === undefined ? {} : { kid }),
    ...(alg === undefined ? {} : { alg }),
    defaultAlg: settings.keys.algorithm,
  });
  invocation.signal.throwIfAborted();

  const { dryRun } = invocation.globals;
  const database = await context.database(dryRun ? 'pretend' : 'create');
  const clock = await context.databaseClock();
  const outcome = await importKeys(
    { database, sealer: await context.sealer(), clock, actor },
    { keys, maxTtlSeconds: settings.token.maxTtl, dryRun },
  );
  return {
    view: importedKeys(outcome.keys, { isSet, dryRun, now: clock.now() }),
    notes: importNotes(outcome, dryRun),
  };
};

function importNotes({ alreadyThere, activated }: KeyImportOutcome, dryRun: boolean): string[] {
  const signs = dryRun ? 'would sign from then on: no key is active' : 'signs from now on: no key was active';
  return [
    ...alreadyThere.map((kid) => `Key ${kid} was there already, and stays as it is.`),
    ...(activated === null ? [] : [`Key ${activated} ${signs}.`]),
  ];
}

function assertImportFlags({ pem, jwk, passphraseFile }: ImportFlags): void {
  exactlyOne({ '--pem': pem, '--jwk': jwk }, 'keys import');
  if (jwk !== undefined && passphraseFile !== undefined) {
    throw contradiction('A JWK is not encrypted: --passphrase-file goes with --pem.');
  }
  if (pem === '-' && passphraseFile === '-') {
    throw contradiction('Standard input is read once: --pem or --passphrase-file names a file.');
  }
}

async function readKeys(
  { readKey, readSecret, askSecret, signal }: Invocation,
  { pem, jwk, passphraseFile }: ImportFlags,
): Promise<{ isSet: boolean; keys: KeyInFile[] }> {
  const file = pem ?? jwk ?? '';
  const name = file === '-' ? 'standard input' : file;
  const text = await readKey(file, pem === undefined ? '--jwk' : '--pem', MAX_KEY_FILE_BYTES);
  if (jwk !== undefined) return readPrivateJwks(text, name, signal);
  const askPassphrase = async () =>
    passphraseFile === undefined
      ? askSecret(`The passphrase of the key in ${name}`)
      : readSecret(passphraseFile, '--passphrase-file');
  return { isSet: false, keys: [await readPrivatePem(text, name, askPassphrase)] };
}

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
  const database = await (await invocation.context()).database();
  if (flags.kid !== undefined) return { view: publicKeyPem(await requireKey(database, flags.kid)) };
  return { view: jwkSetText(jwkSet((await database.keys.snapshot()).keys)) };
};

function assertExportFlags(flags: ExportFlags): void {
  if (flags.pem) exactlyOne({ '--pem': flags.pem, '--jwks': flags.jwks }, 'keys export');
  if (flags.pem && flags.kid === undefined) {
    throw contradiction('--pem prints one key: --kid is needed.', 'Run `jwtctl keys list` to see the kids.');
  }
  if (!flags.pem && flags.kid !== undefined) {
    throw contradiction('A JWK Set holds all keys: --kid goes with --pem.');
  }
  if (!flags.private && flags.out !== undefined) {
    throw contradiction('Public keys are printed: --out goes with --private.');
  }
  if (flags.out === '-') {
    throw contradiction('Private keys are written to a file, never to standard output.');
  }
}

async function exportPrivate(invocation: Invocation, { kid, out }: ExportFlags): Promise<Outcome> {
  const { globals, signal } = invocation;
  const format: PrivateExportFormat = kid === undefined ? 'jwks' : 'pem';
  const file = invocation.privateFile(
    out ?? (kid === undefined ? 'jwks.private.json' : `${kid}.private.pem`),
  );
  const context = await invocation.context();
  const { clock, actor } = context;
  const database = await context.database();
  const keys = await findExportable(database, kid);
  await file.assertFree();
  const view = privateExport({ file: file.path, format, kids: keys.map((key) => key.kid) }, globals.dryRun);
  if (globals.dryRun) return { view };

  const halves =
    kid === undefined
      ? pluralize(keys.length, 'private key', 'private keys')
      : `the private key of key ${kid}`;
  await invocation.confirm(
    `Write ${halves} to ${file.path}, where who reads it can sign every token?`,
    kid ?? 'private',
  );
  const sealer = await context.sealer();
  await exportPrivateKeys({ database, sealer, clock, actor }, { keys, format, file, signal });
  return {
    view,
    notes: [
      'Whoever reads this file can sign as its keys do. Remove it as soon as it is where it has to be.',
    ],
  };
}

function contradiction(message: string, hint?: string): JwtctlError {
  return new JwtctlError('ERR_FLAG_COMBINATION', message, { hint });
}
