import { state, unavailable, usage } from './entry.js';

export const KEYS_ERRORS = {
  ERR_DECRYPTION_FAILED: state(
    'A private key in the database, or the content key of a backup, cannot be decrypted because it was changed or damaged.',
    'For a backup, use another copy of the file. For a private key, restore its row from a database backup, or run `jwtctl keys rotate` to replace the key.',
  ),
  ERR_JWK_INCOMPLETE: usage(
    'The JWK lacks members of a private RSA key (RFC 7518 §6.3.2).',
    'Export the key again from its source, with all members.',
  ),
  ERR_JWK_INVALID: usage(
    'The input is not a JWK or a JWK Set, or a member of a JWK has the wrong type.',
    'Correct the member that the message names. To import a PEM file, use `--pem`.',
  ),
  ERR_JWK_SET_DUPLICATE: usage(
    'Two keys in the JWK Set have the same `kid` or the same modulus.',
    'Remove one of the two keys from the file.',
  ),
  ERR_KEY_ACTIVE: state(
    'The active key cannot be retired, because no key would be left to sign.',
    'Run `jwtctl keys rotate --now` first. If the private key leaked, run `jwtctl keys compromise`.',
  ),
  ERR_KEY_ALG_MISMATCH: usage(
    'The `alg` of the key differs from the value of `--alg`.',
    'Run the command without `--alg`.',
  ),
  ERR_KEY_COMPROMISED: state(
    'The key is compromised, and this state is final.',
    'Generate a new key with `jwtctl keys generate`.',
  ),
  ERR_KEY_EXPONENT: usage(
    'The public exponent of the RSA key is even, too small, or too large.',
    'Use a key with the exponent 65537, for example from `jwtctl keys generate`.',
  ),
  ERR_KEY_INCONSISTENT: usage(
    'The numbers of the RSA key do not match each other, so the key is damaged or is a mix of two keys.',
    'Export the key again from its source.',
  ),
  ERR_KEY_IN_USE: state(
    'Live tokens are signed with this key, so it cannot be retired yet.',
    'Run `jwtctl keys retire` again after the last token has expired, or pass `--force` to refuse these tokens now. If `jwtctl keys list` shows a time for the key under VERIFIES UNTIL, `jwtctl keys rotate` retires it automatically after that time.',
  ),
  ERR_KEY_MATERIAL_EXISTS: state(
    'This key is already in the key store under another `kid`.',
    'Run `jwtctl keys list` to find it.',
  ),
  ERR_KEY_MULTI_PRIME: usage(
    'The RSA key has more than two primes.',
    'Use a key with two primes, for example from `jwtctl keys generate`.',
  ),
  ERR_KEY_NOT_FOR_SIGNING: usage(
    'The `use`, `key_ops`, or `alg` of the JWK does not allow it to sign tokens.',
    'Import a signing key, or generate one with `jwtctl keys generate`.',
  ),
  ERR_KEY_NOT_LOADED: state(
    'Some running verifiers have not loaded the key yet, so they would refuse its tokens.',
    'Check the verifiers that the message names and run the command again, or pass `--now` to continue without them.',
  ),
  ERR_PUBLISH_URL_UNREACHABLE: unavailable(
    'The URL in `keys.publishUrl` does not return a JWK Set, so jwtctl cannot see whether verifiers know the next key.',
    'Check the URL with `curl`, and correct `keys.publishUrl`. To rotate anyway, run `jwtctl keys rotate --force`.',
  ),
  ERR_KEY_NOT_PENDING: state(
    'Only a pending key can become active, and this key is in another state.',
    'Run `jwtctl keys list --state pending` to find a pending key, or `jwtctl keys generate` to create one.',
  ),
  ERR_KEY_NOT_PRIVATE: usage(
    'The input contains only a public key, but a private key is required.',
    'Import the file that contains the private key. For a key that only verifies, use `jwtctl keys import --public`.',
  ),
  ERR_KEY_NOT_PUBLIC: usage(
    'The input contains only a private key, but a public key is required.',
    'To store only the public key of a private key, use `jwtctl keys import --verify-only`.',
  ),
  ERR_KEY_NOT_PUBLISHED: state(
    'The key was published less than `keys.publishLead` ago, so some verifiers may not know it yet.',
    'Run the command again at the time that the message names, or pass `--now` to skip the wait.',
  ),
  ERR_KEY_NOT_RSA: usage(
    'The key is not an RSA key.',
    'Use an RSA key, for example from `jwtctl keys generate`.',
  ),
  ERR_KEY_PAIR_MISMATCH: state(
    'The private key and the public key in a row of the key store do not match, because another program changed the row.',
    'Run `jwtctl keys rotate --now` to sign with another key, and find out which program changed the row.',
  ),
  ERR_KEY_RECENTLY_ACTIVE: state(
    'The key was active a moment ago, so an issuer may still sign with it.',
    'Run the command again at the time that the message names, or pass `--force`.',
  ),
  ERR_KEY_RETIRED: state(
    'The key is retired, and this state is final.',
    'Generate a new key with `jwtctl keys generate`.',
  ),
  ERR_KEY_ROW_INVALID: state(
    'A row of the key store has an invalid state, algorithm, or public key, because another program changed the row.',
    'Restore the row from a backup of the database, and find out which program changed it.',
  ),
  ERR_KEY_SIZE: usage('The RSA key is too short or too long.', 'Use a key of 2048 to 8192 bits.'),
  ERR_KEY_STORE_EMPTY: state(
    'The registry has tokens, but the key store has no keys, so the two do not match.',
    'Check `mysql.url`, `redis.nodes`, and `redis.prefix`. To remove the tokens, run `jwtctl cache flush --all`.',
  ),
  ERR_KEY_TABLE_UNREADABLE: usage(
    'The table that `keys import --table` names cannot be read, is empty, or is too large.',
    'Check the names of the table and its columns (`--kid-column`, `--key-column`), and grant SELECT on the table to the MySQL account in `mysql.url`.',
  ),
  ERR_KEY_THUMBPRINT_COLLISION: state(
    'The thumbprint of the key begins with the same bits as the thumbprint of another key in the key store.',
    'Use another key, or run `jwtctl keys purge` after the other key is retired.',
  ),
  ERR_KEY_WEAK_PRIMES: usage(
    'The primes of the RSA key are weak, so its private key can be computed from its public key.',
    'Stop using this key everywhere, and generate a new one with `jwtctl keys generate`.',
  ),
  ERR_KID_EXISTS: state(
    'The key store already has a different key with this `kid`.',
    'Choose another `kid` with `--kid`, or leave the flag out. `jwtctl keys list` shows the existing keys.',
  ),
  ERR_KID_INVALID: usage(
    'The text is not a valid `kid`.',
    'Use 1 to 255 bytes of UTF-8 without control characters. To give a single imported key another `kid`, pass `--kid`. Write a value that begins with a dash as `--kid=-x`.',
  ),
  ERR_MASTER_KEY_COMMAND_FAILED: unavailable(
    'The command in `masterKey.command` failed, timed out, or printed too much.',
    'Run the command by hand to see why. If it needs more time, raise `timeout`.',
  ),
  ERR_MASTER_KEY_INVALID: usage(
    'The keyring is empty, or one of its lines is not a master key.',
    'Restore the keyring from its backup. Each line must be one master key: 32 random bytes in base64.',
  ),
  ERR_MASTER_KEY_MISSING: state(
    'No master keyring is available, or its file cannot be read.',
    'Set `masterKey.file` (`JWTCTL_MASTER_KEY_FILE`) to a copy of the keyring that the other hosts use.',
  ),
  ERR_MASTER_KEY_UNKNOWN: state(
    'The data is encrypted with a master key that is not in the keyring.',
    'Copy the missing master key from another host or a backup, and add it to the keyring as another line.',
  ),
  ERR_MASTER_KEY_UNWRITABLE: usage(
    'The file for the new master key cannot be created.',
    'Create the file with `openssl rand -base64 32`, and set `masterKey.file` (`JWTCTL_MASTER_KEY_FILE`) to it.',
  ),
  ERR_NO_ACTIVE_KEY: state(
    'No key is active, so tokens cannot be signed.',
    'Run `jwtctl keys list`. Then run `jwtctl keys activate` for a pending key, or `jwtctl keys generate`.',
  ),
  ERR_NO_KEYS: state(
    'The key store has no key that this command can use.',
    'Run `jwtctl keys list` to see the keys, or `jwtctl keys generate` to create one.',
  ),
  ERR_PASSPHRASE_NEEDED: usage(
    'The private key is encrypted, but there is no terminal to prompt for its passphrase.',
    'Pass the passphrase with `--passphrase-file`.',
  ),
  ERR_PASSPHRASE_WRONG: usage(
    'The passphrase does not decrypt the private key, or the file is damaged.',
    'Check the passphrase. If it is right, export the key again from its source.',
  ),
  ERR_PEM_INVALID: usage(
    'The file has no complete PEM block with a key.',
    'Convert a DER file with `openssl pkey -inform DER -in FILE`. To import a JWK, use `--jwk`.',
  ),
  ERR_PEM_MANY_KEYS: usage(
    'The PEM file contains more than one key.',
    'Split the file, and import each key separately.',
  ),
  ERR_PEM_UNSUPPORTED: usage(
    'The private key is in the OpenSSH format, or it is encrypted with an outdated cipher.',
    'Convert the file to PKCS#8 with the command that the message names.',
  ),
  ERR_PRIVATE_KEY_MISSING: state(
    'The row of the key has no private key.',
    'If the key is retired, compromised, or verify-only, use another key. Otherwise, restore the row from a backup, or run `jwtctl keys rotate --now`.',
  ),
};
