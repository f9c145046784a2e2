import { Option } from 'commander';
import { importKeys, type KeyImportOutcome, nameKeys } from '../../../domain/keys/import.js';
import { readPrivateJwks, readPublicJwks } from '../../../domain/keys/private-jwk.js';
import { type KeyInFile, MAX_KEY_FILE_BYTES } from '../../../domain/keys/private-key.js';
import { readPrivatePem } from '../../../domain/keys/private-pem.js';
import { readPublicPem } from '../../../domain/keys/public-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { SIGNING_ALGORITHMS, type SigningAlgorithm, stateName } from '../../../domain/model/signing-key.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { importedKeys } from '../../output/views/keys/material.js';
import { contradiction, exactlyOne, momentFlag } from '../shared/flags.js';

export const defineImport: DefineCommand = (group, run) => {
  group
    .command('import')
    .description(
      'Import keys.\n\nThe first key of a store signs at once. Later keys are pending: `keys rotate` or `keys activate` makes them active. A verify-only key never signs, and only its public key is stored. It verifies until --verify-until, or until `keys retire` or `keys compromise` ends it.',
    )
    .option(
      '--pem <file>',
      'PKCS#8 or PKCS#1 private key in PEM format, encrypted or not; - reads standard input',
    )
    .option(
      '--jwk <file>',
      'private JWK or JWK Set; a set is imported completely or not at all; - reads standard input',
    )
    .option(
      '--kid <kid>',
      "key ID of a single key (default: the JWK's kid, or the RFC 7638 thumbprint)",
      parseKid,
    )
    .addOption(
      new Option('--alg <alg>', "signature algorithm (default: the JWK's alg, or keys.algorithm)").choices(
        SIGNING_ALGORITHMS,
      ),
    )
    .option(
      '--passphrase-file <file>',
      'passphrase of an encrypted PEM file; one trailing newline is dropped; - reads standard input',
    )
    .option('--verify-only', 'store the public key only: the key verifies and never signs')
    .option(
      '--public',
      'the file holds a public key (SPKI, PKCS#1, X.509 certificate, or JWK), which verifies only',
    )
    .option(
      '--verify-until <time>',
      'end of a verify-only key (NumericDate or ISO 8601; default: none)',
      momentFlag('--verify-until'),
    )
    .examples(
      'jwtctl keys import --pem key.pem --kid 2026-q1',
      'jwtctl keys import --pem old.pem --kid 2025-q4 --verify-only --verify-until 2026-06-30',
    )
    .action(run(importFile));
};

interface ImportFlags {
  pem?: string;
  jwk?: string;
  kid?: string;
  alg?: SigningAlgorithm;
  passphraseFile?: string;
  verifyOnly?: true;
  public?: true;
  verifyUntil?: number;
}

const importFile: Action<ImportFlags, []> = async (invocation, flags) => {
  assertImportFlags(flags);
  const { isSet, keys: found } = await readKeys(invocation, flags);
  if (flags.kid !== undefined && found.length > 1) {
    throw contradiction(`--kid requires a single key, but the set has ${found.length}.`);
  }
  const context = await invocation.context();
  const { settings, actor } = context;
  const { kid, alg } = flags;
  const keys = nameKeys(found, { kid, alg, defaultAlg: settings.keys.algorithm });
  invocation.signal.throwIfAborted();

  const { dryRun } = invocation.globals;
  const database = await context.database(dryRun ? 'pretend' : 'create');
  const clock = await context.databaseClock();
  const verifyOnly = isVerifyOnly(flags) ? { verifyUntil: flags.verifyUntil ?? null } : undefined;
  if (flags.verifyUntil !== undefined && flags.verifyUntil <= clock.now()) {
    throw new JwtctlError(
      'ERR_FLAG_INVALID',
      '--verify-until is in the past; expected a time in the future.',
    );
  }
  const outcome = await importKeys(
    { database, sealer: await context.sealer(), clock, actor },
    { keys, maxTtlSeconds: settings.token.maxTtl, verifyOnly, dryRun },
  );
  return {
    view: importedKeys(outcome.keys, { isSet, dryRun, now: clock.now() }),
    notes: importNotes(outcome, dryRun),
  };
};

function isVerifyOnly(flags: ImportFlags): boolean {
  return flags.verifyOnly === true || flags.public === true;
}

function assertImportFlags(flags: ImportFlags): void {
  const { pem, jwk, passphraseFile } = flags;
  exactlyOne({ '--pem': pem, '--jwk': jwk });
  if (flags.verifyUntil !== undefined && !isVerifyOnly(flags)) {
    throw contradiction('--verify-until requires --verify-only or --public.');
  }
  if (jwk !== undefined && passphraseFile !== undefined) {
    throw contradiction('--passphrase-file requires --pem: a JWK is not encrypted.');
  }
  if (pem === '-' && passphraseFile === '-') {
    throw contradiction('--pem and --passphrase-file cannot both read standard input.');
  }
}

async function readKeys(
  { readKey, readSecret, askSecret, signal }: Invocation,
  { pem, jwk, passphraseFile, public: isPublic }: ImportFlags,
): Promise<{ isSet: boolean; keys: KeyInFile[] }> {
  const file = pem ?? jwk ?? '';
  const name = file === '-' ? 'standard input' : file;
  const text = await readKey(file, pem === undefined ? '--jwk' : '--pem', MAX_KEY_FILE_BYTES);
  if (jwk !== undefined) return (isPublic ? readPublicJwks : readPrivateJwks)(text, name, signal);
  if (isPublic) return { isSet: false, keys: [await readPublicPem(text, name)] };
  const askPassphrase = async () =>
    passphraseFile === undefined
      ? askSecret(`The passphrase of the key in ${name}`)
      : readSecret(passphraseFile, '--passphrase-file');
  return { isSet: false, keys: [await readPrivatePem(text, name, askPassphrase)] };
}

function importNotes({ keys, alreadyThere, activated }: KeyImportOutcome, dryRun: boolean): string[] {
  const signs = dryRun ? 'would be active, because no other key is' : 'is active, because no other key was';
  return [
    ...keys
      .filter(({ kid }) => alreadyThere.includes(kid))
      .map((key) => `Key ${key.kid} already exists, is ${stateName(key)}, and was not changed.`),
    ...(activated === null ? [] : [`Key ${activated} ${signs}.`]),
  ];
}
