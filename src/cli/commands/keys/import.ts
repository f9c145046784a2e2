import { Option } from 'commander';
import { collectKeys } from '../../../domain/key-files/collect-keys.js';
import type { KeysInFile } from '../../../domain/key-files/jwk-file.js';
import type { KeyFileContent } from '../../../domain/key-files/key-file.js';
import { type KeyFileOptions, readKeys } from '../../../domain/key-files/read-keys.js';
import { MAX_KEY_FILE_BYTES } from '../../../domain/key-files/rsa-key.js';
import {
  importKeys,
  type KeyImportInput,
  type KeyImportOutcome,
  type NamedKeys,
  nameKeys,
} from '../../../domain/keys/import.js';
import { parseKid } from '../../../domain/model/kid.js';
import {
  isVerifyOnly,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
  stateName,
} from '../../../domain/model/signing-key.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { printable } from '../../../domain/shared/text.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { relativeTime } from '../../output/time.js';
import { importedKeys } from '../../output/views/keys/material.js';
import { contradiction, exactlyOne, identifierFlag, momentFlag } from '../shared/flags.js';

export const defineImport: DefineCommand = (group, run) => {
  group
    .command('import')
    .description(
      'Import keys.\n\nEvery imported key verifies tokens.\n\nA key also signs if --sign names it, or if it is the only key of the file and no key signs yet.\n\nEvery other key is verify-only: only its public key is stored, and it verifies until --verify-until, or until `keys retire` or `keys compromise` ends it.',
    )
    .option(
      '--pem <file>',
      'PKCS#8 or PKCS#1 private key in PEM format, encrypted or not; - reads standard input',
    )
    .option(
      '--jwk <file>',
      'private JWK, JWK Set, or array of JWKs; members that are not RSA signing keys are skipped; - reads standard input',
    )
    .option(
      '--table <table>',
      'keys in a table ([schema.]table) of the database of mysql.url, as PEM or JWK',
      identifierFlag('--table', 2),
    )
    .option('--kid-column <column>', 'column of the key ID (default: kid)', identifierFlag('--kid-column', 1))
    .option(
      '--key-column <column>',
      'column of the key (default: private_key)',
      identifierFlag('--key-column', 1),
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
    .option(
      '--sign [kid]',
      'let the key sign: at once if no key signs yet, otherwise after `keys rotate` or `keys activate`; needs the key ID if there are several keys',
    )
    .option('--verify-only', 'store only public keys, which verify and never sign')
    .option(
      '--public',
      'read public keys (SPKI, PKCS#1, X.509 certificate, or JWK), which verify and never sign',
    )
    .option(
      '--verify-until <time>',
      'time until which verify-only keys verify (NumericDate or ISO 8601; default: no limit)',
      momentFlag('--verify-until'),
    )
    .option('--strict', 'import all keys or none')
    .examples(
      'jwtctl keys import --pem key.pem --kid 2026-q1',
      'jwtctl keys import --table app.keystore --sign 2026-q1',
    )
    .action(run(importFile));
};

interface ImportFlags {
  pem?: string;
  jwk?: string;
  table?: string;
  kidColumn?: string;
  keyColumn?: string;
  kid?: string;
  alg?: SigningAlgorithm;
  passphraseFile?: string;
  sign?: string | true;
  verifyOnly?: true;
  public?: true;
  verifyUntil?: number;
  strict?: true;
}

const importFile: Action<ImportFlags, []> = async (invocation, flags) => {
  assertImportFlags(flags);
  const file = await (flags.table === undefined ? readFile : readTable)(invocation, flags);
  if (flags.kid !== undefined && file.keys.length > 1) {
    throw contradiction(`--kid requires a single key, but there are ${file.keys.length}.`);
  }
  const context = await invocation.context();
  const { settings, actor } = context;
  const { kid, alg, strict: isStrict } = flags;
  const named = await nameKeys(file, { kid, alg, defaultAlg: settings.keys.algorithm, isStrict });
  const sign = signerOf(flags.sign, named);
  invocation.signal.throwIfAborted();

  const { dryRun } = invocation.globals;
  const database = await context.database(dryRun ? 'pretend' : 'create');
  const clock = await context.databaseClock();
  if (flags.verifyUntil !== undefined && flags.verifyUntil <= clock.now()) {
    throw new JwtctlError(
      'ERR_FLAG_INVALID',
      '--verify-until is in the past; expected a time in the future.',
    );
  }
  const input = {
    ...named,
    maxTtlSeconds: settings.token.maxTtl,
    rotateAfterSeconds: settings.keys.rotateAfter,
    publishLeadSeconds: settings.keys.publishLead,
    verifyOnly: onlyVerifies(flags) ? { verifyUntil: flags.verifyUntil ?? null } : undefined,
    ...{ sign, isStrict, dryRun },
  };
  const outcome = await importKeys({ database, sealer: await context.sealer(), clock, actor }, input);
  const { keys, skipped, alreadyThere } = outcome;
  const isSealed = keys.some((key) => !isVerifyOnly(key) && !alreadyThere.includes(key.kid));
  if (dryRun && isSealed) await (await context.sealer()).assertSeals();
  return {
    view: importedKeys(keys, skipped, { isSet: file.isSet, dryRun, now: clock.now() }),
    notes: [...file.keys.flatMap(({ note }) => note ?? []), ...importNotes(outcome, input, clock.now())],
    warnings: skipped.map(({ error }) => `Skipped: ${error.message}`),
    exitCode: skipped.length === 0 ? EXIT.done : EXIT.partial,
  };
};

function onlyVerifies(flags: ImportFlags): boolean {
  return flags.verifyOnly === true || flags.public === true;
}

function assertImportFlags(flags: ImportFlags): void {
  const { pem, jwk, table, passphraseFile } = flags;
  exactlyOne({ '--pem': pem, '--jwk': jwk, '--table': table });
  if (flags.verifyUntil !== undefined && !onlyVerifies(flags)) {
    throw contradiction('--verify-until requires --verify-only or --public.');
  }
  if (flags.sign !== undefined && onlyVerifies(flags)) {
    throw contradiction('--sign cannot be combined with --verify-only or --public.');
  }
  if (table === undefined && (flags.kidColumn ?? flags.keyColumn) !== undefined) {
    throw contradiction('--kid-column and --key-column require --table.');
  }
  if (jwk !== undefined && passphraseFile !== undefined) {
    throw contradiction('--passphrase-file requires --pem or --table: a JWK is not encrypted.');
  }
  if (pem === '-' && passphraseFile === '-') {
    throw contradiction('--pem and --passphrase-file cannot both read standard input.');
  }
}

async function readFile(invocation: Invocation, flags: ImportFlags): Promise<KeysInFile> {
  const { pem, jwk } = flags;
  const file = pem ?? jwk ?? '';
  const form = pem === undefined ? 'jwk' : 'pem';
  if (/-----BEGIN |^\s*[[{]/.test(file)) {
    throw new JwtctlError(
      'ERR_FLAG_INVALID',
      `--${form} takes the name of a file, but the value is the text of a key.`,
      {
        hint: `Pipe it: printf %s "$KEY" | jwtctl keys import --${form} -`,
      },
    );
  }
  const content = await invocation.readKey(file, `--${form}`, MAX_KEY_FILE_BYTES);
  return keyReader(invocation, flags)(content, file === '-' ? 'standard input' : file, form);
}

async function readTable(invocation: Invocation, flags: ImportFlags): Promise<KeysInFile> {
  const { table = '', kidColumn = 'kid', keyColumn = 'private_key' } = flags;
  const rows = await (await invocation.context()).readKeyTable({ table, kidColumn, keyColumn });
  if (rows.length === 0) {
    throw new JwtctlError('ERR_KEY_TABLE_UNREADABLE', `The table ${printable(table)} has no rows.`);
  }
  const read = keyReader(invocation, flags);
  const kidOf = ({ kid }: { kid: string | null }) => kid;
  const collected = await collectKeys(rows, kidOf, async ({ kid, key: content }) => {
    invocation.signal.throwIfAborted();
    const name = `row ${kid ?? 'without a kid'} of table ${table}`;
    const { keys, skipped } = await read(content ?? '', name);
    const [key] = keys;
    if (key !== undefined && keys.length + skipped.length === 1) return { ...key, kid };
    throw new JwtctlError('ERR_JWK_INVALID', `The key in ${printable(name)} is a JWK Set; expected a JWK.`);
  });
  return { isSet: true, ...collected };
}

/** Reads keys with the same flags. Remembers the passphrase, and asks for another one if a key does not open with it. */
function keyReader(
  { readSecret, askSecret, signal }: Invocation,
  { passphraseFile, public: isPublic }: ImportFlags,
): (content: KeyFileContent, name: string, form?: KeyFileOptions['form']) => Promise<KeysInFile> {
  let passphrase: string | undefined;
  return async (content, name, form) => {
    const wanted = isPublic ? 'public' : 'private';
    const askPassphrase = async () => {
      passphrase ??= await (passphraseFile === undefined
        ? askSecret(`The passphrase of the key in ${name}`)
        : readSecret(passphraseFile, '--passphrase-file'));
      return passphrase;
    };
    const read = () => readKeys(content, { name, wanted, form, askPassphrase, signal });
    const isRemembered = passphrase !== undefined;
    try {
      return await read();
    } catch (error) {
      const isWrong = error instanceof JwtctlError && error.code === 'ERR_PASSPHRASE_WRONG';
      if (!isWrong || passphraseFile !== undefined || !isRemembered) throw error;
      passphrase = undefined;
      return read();
    }
  };
}

/** @throws JwtctlError `ERR_FLAG_COMBINATION` (usage) if the flag does not name exactly one of the keys */
function signerOf(sign: ImportFlags['sign'], { keys, skipped }: NamedKeys): string | undefined {
  const kids = keys.map(({ kid }) => kid);
  if (sign === undefined || (sign !== true && kids.includes(sign))) return sign;
  const count = keys.length + skipped.length;
  if (sign === true && count === 1) return kids[0];
  throw contradiction(
    sign === true
      ? `--sign needs a key ID, because there are ${count} keys. Those that can sign: ${kids.join(', ')}.`
      : `--sign names key ${sign}, but the imported keys are: ${kids.join(', ')}.`,
  );
}

function importNotes(
  { keys, alreadyThere, skipped, active, next, signsFrom }: KeyImportOutcome,
  { sign, verifyOnly, dryRun }: KeyImportInput,
  now: number,
): string[] {
  const existing = keys.filter(({ kid }) => alreadyThere.includes(kid));
  const others = keys.filter((key) => isVerifyOnly(key) && !alreadyThere.includes(key.kid)).length;
  const notes = existing.map(
    (key) => `Key ${key.kid} already exists, is ${stateName(key)}, and was not changed.`,
  );
  if (verifyOnly !== undefined) return notes;
  if (others > 0 && sign === undefined) {
    const which = keys.length + skipped.length === 1 ? '--sign' : '--sign KID';
    notes.push(
      `${pluralize(others, 'imported key')} ${others === 1 ? 'verifies' : 'verify'} and ${others === 1 ? 'does' : 'do'} not sign. To let one sign, run the same command again with ${which}.`,
    );
  }
  if (active === null) {
    notes.push('No key signs. Run `jwtctl keys rotate` for a new key, or import one with --sign.');
    return notes;
  }
  notes.push(`Key ${active.kid} ${dryRun ? 'would sign' : 'signs now'}.`);
  notes.push(
    next === null || signsFrom === null
      ? '`jwtctl keys rotate` generates the key that signs next.'
      : `Key ${next.kid} ${dryRun ? 'would sign' : 'signs'} next: \`jwtctl keys rotate\` makes it active ${relativeTime(Math.max(signsFrom, now), now)}.`,
  );
  return notes;
}
