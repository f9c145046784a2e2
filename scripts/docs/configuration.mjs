// @ts-check
import { cell, code, GENERATED, table } from './markdown.mjs';

/** Where settings come from, and every setting as `src/config/declarations` declares it. */
export async function configurationDocument(/** @type {(source: string) => Promise<any>} */ load) {
  /** @type {{ SETTINGS: Array<Record<'path' | 'variable' | 'doc', string> & Record<'flag' | 'fallback', string | null> & Record<'inProjectFile' | 'restricts', boolean>> }} */
  const { SETTINGS } = await load('src/config/settings.ts');
  const rows = SETTINGS.map(({ path, variable, flag, fallback, doc }) => [
    ...[path, variable, flag ?? '', fallback ?? ''].map(code),
    cell(doc),
  ]);
  const inProjectFile = SETTINGS.filter((setting) => setting.inProjectFile).map(({ path }) => code(path));
  const restricting = SETTINGS.filter(({ restricts }) => restricts).map(({ path }) => code(path));
  return `# Configuration

${GENERATED}

## Where settings come from

A setting comes from the first of these places that has it:

1. a flag: \`--token-max-ttl\`
2. a variable: \`JWTCTL_TOKEN_MAX_TTL\`
3. the project file: the nearest \`jwtctl.yaml\` or \`jwtctl.json\`, from the working directory up to the root of the repository or
   the home folder (outside a repository and the home folder, only in the working directory)
4. the user file: \`$XDG_CONFIG_HOME/jwtctl/config.yaml\`
5. the system file: \`/etc/jwtctl/config.yaml\`
6. the default

\`--config FILE\` (or \`JWTCTL_CONFIG\`) reads that file and no other. \`--profile NAME\` (or \`JWTCTL_PROFILE\`) selects a profile. An unknown
key, an unknown variable, or an invalid value is an error, and the message says where to find it. \`jwtctl config show\` prints where
each value comes from.

\`\`\`yaml
# /etc/jwtctl/config.yaml
mysql:
  url: mysql://jwtctl@db.example.com/jwtctl
  passwordFile: /run/secrets/jwtctl-mysql
redis:
  nodes: [10.0.0.1:6379, 10.0.0.2:6379, 10.0.0.3:6379]
masterKey:
  file: /etc/jwtctl/master.key
profiles:
  staging:
    mysql: { url: mysql://jwtctl@db.example.com/jwtctl_staging }
    redis: { prefix: jwt-staging }
\`\`\`

Configure both MySQL and Redis, or neither: configuring only one of them is an error. If a configured store does not respond,
jwtctl never falls back to the embedded store.

## Settings

${table(['setting', 'variable', 'flag', 'default', 'meaning'], rows)}

- A duration is \`90s\`, \`15m\`, \`12h\`, \`30d\`, \`1h30m\`, or a number of seconds.
- Secrets, commands, and the SQL of \`users.enabledWhere\` have no flag, because other users can read the command line of a process.
- The variables of \`serve.clients\`, \`serve.headers\`, and \`serve.policies\` are JSON: \`[{"id":"app","secretFile":"/run/secrets/app","may":["issue"]}]\`.
- The Redis account needs [these permissions](redis-acl.md).
- \`null\` in a file and an empty variable count as not set. They are errors for settings that restrict something: ${restricting.join(', ')}.
- A host whose clock differs by more than \`token.clockTolerance\` uses MySQL's clock for keys and revocations, and, if it is ahead, for the end of a ban.

## The project file

A project file can set only ${inProjectFile.join(', ')}, and profiles with these settings. Its \`mysql.url\` must not contain a password. If a
project file sets the address of a store, a line on stderr says so.

If a project file sets the address of a store, but the password or client certificate comes from another place, jwtctl exits with
code 2 and sends nothing to that address. To trust a project file, pass it with \`--config\`. jwtctl then reads no other file. The
library reads a project file only with \`projectFile: true\`.

## File permissions

jwtctl refuses a file that another user could change. Either root or the account that runs jwtctl must own the file, its folders, and
every link in its path. No other user can have write access to the file or a folder. Sticky folders such as \`/tmp\` and Kubernetes
mounts are allowed. These rules apply to

- configuration files and the embedded store;
- secret files: \`*.passwordFile\`, \`*.tls.key\`, \`masterKey.file\`, the \`secretFile\` of \`serve.clients\`, \`--passphrase-file\`, and the
  \`--pem\` and \`--jwk\` files of \`keys import\`;
- the files of \`*.tls.ca\` and \`*.tls.cert\`.

If other users can read a secret, jwtctl warns. A password file must be a regular file with one line of at most 4,096 bytes.

## TLS

Without TLS, any server at the address of MySQL or Redis can get the password: with \`caching_sha2_password\`, MySQL clients send it to
any server that asks. Use \`mysql.tls\` and \`redis.tls\`, except on loopback or a network that only you control. \`jwtctl config validate\`
warns if a store outside loopback is reached without TLS. The server's certificate must match the host name or IP address.

The files of \`*.tls\` are read again for each connection. To rotate passwords and certificates without a restart, see
[operations](operations.md#rotate-passwords-and-certificates).
`;
}
