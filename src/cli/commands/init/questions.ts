import type { Context } from '../../../app/context.js';
import type { EditOrigins, Edits } from '../../../config/edit-config.js';
import type { SettingPath } from '../../../config/settings.js';
import type { Origin } from '../../../config/sources/setting-origin.js';
import { prefixInUse } from '../../../domain/recovery/foreign-marks.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';
import { notice, statementList } from '../../output/views/init.js';
import { checkDatabase, checkRegistry } from '../shared/store-checks.js';
import type { Target } from './target.js';

export const STORES = ['embedded', 'servers'] as const;
export type StoreChoice = (typeof STORES)[number];

/** What to write, and where each value comes from. */
export interface Answers {
  readonly edits: Edits;
  readonly origins: EditOrigins;
}

type EditConfig = typeof import('../../../config/edit-config.js');

/** Asks for the settings, and tries each connection. Without a terminal, takes the flags and the present values. */
export async function askAll(
  invocation: Invocation,
  target: Target,
  store: StoreChoice | undefined,
): Promise<Answers> {
  const questions = new Questions(invocation, target, await import('../../../config/edit-config.js'));
  const isEmbedded = (store ?? (await questions.store())) === 'embedded';
  if (isEmbedded) await questions.embedded();
  else {
    await questions.mysql();
    await questions.redis();
  }
  await questions.masterKey();
  if (!isEmbedded) await questions.ownPrefix();
  await questions.tokens();
  return questions;
}

class Questions {
  readonly edits: Map<SettingPath, string | null>;
  readonly origins: Map<SettingPath, Origin>;
  readonly #invocation: Invocation;
  readonly #target: Target;
  readonly #config: EditConfig;
  /** After a failed try, flags are questions too. */
  #isSecondTry = false;

  constructor(invocation: Invocation, target: Target, config: EditConfig) {
    this.#invocation = invocation;
    this.#target = target;
    this.#config = config;
    ({ edits: this.edits, origins: this.origins } = config.givenSettings(invocation.configSources));
  }

  get #canAsk(): boolean {
    return this.#invocation.globals.canAsk;
  }

  async store(): Promise<StoreChoice> {
    const isSet = this.#today('mysql.url') !== null || this.#today('redis.nodes') !== null;
    const isGiven = this.edits.has('mysql.url') || this.edits.has('redis.nodes');
    const present = isSet || isGiven ? 'servers' : 'embedded';
    const isChosen = isSet || isGiven || this.edits.has('data') || !this.#isDefault('data');
    if (!this.#canAsk && !isChosen) throw noStoreChosen();
    if (!this.#canAsk || isGiven) return present;
    return this.#invocation.choose(
      'Where to keep keys, users, and tokens?',
      [
        { value: 'embedded', name: 'in one SQLite file on this host' },
        { value: 'servers', name: 'in MySQL and Redis' },
      ],
      present,
    );
  }

  async embedded(): Promise<void> {
    for (const path of SERVERS) this.edits.set(path, null);
    await this.#ask('data', 'File of the embedded store:');
  }

  async mysql(): Promise<void> {
    this.edits.set('data', null);
    const isNew = this.#isNew('mysql.url');
    await this.#untilItWorks(
      async () => {
        await this.#ask('mysql.url', 'MySQL database:', { suggestion: 'mysql://jwtctl@localhost/jwtctl' });
        await this.#askPassword('mysql', 'the MySQL account');
        if (isNew) await this.#showStatements('operator');
      },
      async (context) => {
        try {
          await checkDatabase(context);
        } catch (error) {
          if (!(error instanceof JwtctlError && error.code === 'ERR_SCHEMA_OUTDATED')) throw error;
        }
        return 'MySQL answers.';
      },
      'operator',
    );
  }

  async redis(): Promise<void> {
    const isNew = this.#isNew('redis.nodes');
    await this.#untilItWorks(
      async () => {
        await this.#askMode();
        await this.#ask('redis.nodes', 'Redis nodes, as host:port,…:', { suggestion: 'localhost:6379' });
        if (this.#value('redis.mode') === 'sentinel')
          await this.#ask('redis.sentinelMaster', 'Name under which the Sentinels watch the master:');
        await this.#ask('redis.prefix', 'Prefix of the keys in Redis:');
        await this.#ask('redis.username', 'ACL user of Redis (- for none):', { isOptional: true });
        await this.#askPassword('redis', 'the Redis account');
        if (isNew && this.#value('redis.username') !== null) await this.#showStatements('redis');
      },
      async (context) => {
        await checkRegistry(context);
        return 'Redis answers.';
      },
      'redis',
    );
  }

  async masterKey(): Promise<void> {
    if (this.#target.today.settings.masterKey.value !== null) return;
    if (this.edits.has('masterKey.file') && !this.#isSecondTry) return;
    const isCommand = this.#value('masterKey.command') !== null;
    if (!this.#canAsk && isCommand) return;
    const source = this.#canAsk
      ? await this.#invocation.choose(
          'Where is the master key, which seals private keys?',
          [
            { value: 'file', name: 'in a file, which is created if it does not exist' },
            { value: 'command', name: 'a command prints it, for example from a vault' },
          ],
          isCommand ? 'command' : 'file',
        )
      : 'file';
    if (source === 'command') {
      await this.#ask('masterKey.command', 'Command that prints the master key:');
      this.edits.set('masterKey.file', null);
      return;
    }
    const data = this.#value('data') ?? this.#target.today.settings.data;
    const isEmbedded = this.#value('mysql.url') === null;
    const preset = this.#config.defaultKeyring(this.#target.file.path, isEmbedded ? data : null);
    await this.#ask('masterKey.file', 'Master key file:', { preset });
    this.edits.set('masterKey.command', null);
  }

  /** Two installations under one prefix would remove each other's tokens. */
  async ownPrefix(): Promise<void> {
    let isAnswered = true;
    await this.#untilItWorks(
      async () => {
        if (!isAnswered) {
          await this.#ask('redis.prefix', 'Prefix of the keys in Redis:');
          await this.masterKey();
        }
        isAnswered = false;
      },
      async (context) => {
        if (await context.hasForeignMarks()) throw prefixInUse(context.settings.redis.prefix, PREFIX_HINT);
        return null;
      },
    );
  }

  async tokens(): Promise<void> {
    await this.#untilItWorks(
      async () => {
        await this.#ask('token.issuer', 'Issuer of tokens (iss):');
        await this.#ask('token.audience', 'Audience of tokens (aud):');
        await this.#ask('token.ttl', 'Lifetime of tokens, such as 15m or 1h:');
        await this.#ask('token.maxTtl', 'Longest lifetime that a command can ask for:');
      },
      async () => null,
    );
  }

  /** Asks again after a failure, if the user wants to. */
  async #untilItWorks(
    ask: () => Promise<void>,
    check: (context: Context) => Promise<string | null>,
    account?: 'operator' | 'redis',
  ): Promise<void> {
    for (let isAsking = true; ; ) {
      if (isAsking) await ask();
      try {
        const answer = await check(await this.#target.open(this.#withBothStores(), this.origins));
        if (answer !== null) this.#invocation.note(`✓ ${answer}`);
        return;
      } catch (error) {
        if (!(error instanceof JwtctlError) || !this.#canAsk || error.kind === 'interrupted') throw error;
        await this.#invocation.present(notice(error.message, error.hint));
      }
      const next = await this.#invocation.choose(
        'What to do?',
        [
          { value: 'retry', name: 'try again with the same answers' },
          { value: 'ask', name: 'change the answers' },
          ...(account === undefined
            ? []
            : [
                { value: 'statements' as const, name: 'show the statements that create the account' },
                { value: 'continue' as const, name: 'continue without this connection' },
              ]),
        ],
        'ask',
      );
      if (next === 'continue') return;
      if (next === 'statements' && account !== undefined) await this.#showStatements(account);
      isAsking = next === 'ask';
      this.#isSecondTry ||= isAsking;
    }
  }

  /** Each store is tried before the other one is known, and jwtctl accepts no configuration with only one. */
  #withBothStores(): Map<SettingPath, string | null> {
    const edits = new Map(this.edits);
    if (this.#value('mysql.url') !== null && this.#value('redis.nodes') === null)
      edits.set('redis.nodes', 'localhost:6379');
    return edits;
  }

  async #showStatements(account: 'operator' | 'redis'): Promise<void> {
    if (!this.#canAsk) return;
    const { accountStatements } = await this.#target.open(this.#withBothStores(), this.origins);
    const where = account === 'redis' ? 'on every node of Redis' : 'in MySQL';
    await this.#invocation.present(notice(`To create the account, run as an administrator ${where}:`));
    // As plain text, because redis-cli reads one line.
    await this.#invocation.present(statementList(await accountStatements(account)));
    await this.#invocation.askText('Press Enter once the account exists.', { check: () => null });
  }

  async #askMode(): Promise<void> {
    const today = this.#value('redis.mode');
    if (!this.#canAsk || (this.edits.has('redis.mode') && !this.#isSecondTry))
      return void this.edits.set('redis.mode', today);
    const question = 'What kind of Redis?';
    const mode = await this.#invocation.choose(
      question,
      [
        { value: 'cluster', name: 'a Redis Cluster' },
        { value: 'standalone', name: 'a single server' },
        { value: 'sentinel', name: 'a server that Sentinels watch' },
      ],
      today ?? 'cluster',
    );
    this.#answer(question, new Map([['redis.mode', mode]]));
  }

  async #askPassword(group: 'mysql' | 'redis', of: string): Promise<void> {
    const [typed, file, command] = (['password', 'passwordFile', 'passwordCommand'] as const).map(
      (name) => `${group}.${name}` as const,
    ) as ['mysql.password', 'mysql.passwordFile', 'mysql.passwordCommand'];
    const given = [typed, file, command].find((path) => this.edits.get(path) != null);
    if (!this.#canAsk || (given !== undefined && !this.#isSecondTry)) return;
    const present = [file, command, typed].find((path) => this.#value(path) !== null);
    const isNew = this.#isNew(group === 'mysql' ? 'mysql.url' : 'redis.nodes') && !this.edits.has(typed);
    const needsOne = isNew && (group === 'mysql' || this.#value('redis.username') !== null);
    const source = await this.#invocation.choose<string>(
      `Password of ${of}:`,
      [
        ...(present === undefined ? [] : [{ value: 'keep', name: `keep the present one (${present})` }]),
        { value: typed, name: 'type it now, to store it in the configuration file' },
        { value: file, name: 'read it from a file' },
        { value: command, name: 'a command prints it' },
        { value: 'none', name: 'no password' },
      ],
      present === undefined ? (needsOne ? typed : 'none') : 'keep',
    );
    if (source === 'keep') return;
    for (const path of [typed, file, command]) this.edits.set(path, null);
    if (source === typed)
      this.#answer('Password', new Map([[typed, await this.#invocation.askSecret('Password')]]));
    else if (source === file) await this.#ask(file, 'File with the password:');
    else if (source === command) await this.#ask(command, 'Command that prints the password:');
  }

  async #ask(
    path: SettingPath,
    message: string,
    {
      suggestion,
      preset,
      isOptional = false,
    }: { suggestion?: string; preset?: string; isOptional?: boolean } = {},
  ): Promise<void> {
    const isGiven = this.edits.get(path) != null;
    const today = this.#value(path) ?? preset ?? (this.#canAsk ? suggestion : null) ?? null;
    if (isGiven && !this.#isSecondTry) return;
    if (!this.#canAsk) {
      if (today === null && !isOptional) throw this.#config.unanswered(path);
      return void this.edits.set(path, today);
    }
    // A command may contain a secret.
    const isHidden = today !== null && this.#config.isMasked(path);
    const isNone = (text: string) => isOptional && (text === '' || text === '-');
    const read = (text: string) => this.#config.readAnswer(path, text, this.#invocation.configSources);
    const text = await this.#invocation.askText(
      isHidden ? `${message} (press Enter to keep the current value)` : message,
      {
        initial: isHidden ? null : today,
        isEditable: this.edits.has(path),
        check: (typed) => {
          if (isHidden && typed === '') return null;
          const answer = isNone(typed) ? null : read(typed);
          return answer !== null && 'problem' in answer ? answer.problem : null;
        },
        // An address may have been typed with a password.
        shown: (typed) => this.#config.shownAnswer(path, typed, this.#invocation.configSources),
      },
    );
    if (isHidden && text === '') return void this.edits.set(path, today);
    const answer = isNone(text) ? { edits: new Map([[path, null]]) } : read(text);
    if ('edits' in answer) this.#answer(message, answer.edits);
  }

  #answer(question: string, edits: Edits): void {
    for (const [path, value] of edits) {
      this.edits.set(path, value);
      this.origins.set(path, this.#config.answerOrigin(question));
    }
  }

  /** The answer so far, or the present value. */
  #value(path: SettingPath): string | null {
    return this.edits.get(path) ?? (this.edits.has(path) ? null : this.#today(path));
  }

  #isDefault(path: SettingPath): boolean {
    return this.#target.today.origins[path].source === 'default';
  }

  /** The account may not exist yet. */
  #isNew(path: SettingPath): boolean {
    return this.#target.today.origins[path].source !== 'file';
  }

  #today(path: SettingPath): string | null {
    return this.#config.textOfSetting(this.#target.today.settings, path);
  }
}

const PREFIX_HINT =
  'Choose another prefix (--redis-prefix). If it is the same installation, use a copy of its master key file (--master-key-file).';

function noStoreChosen(): JwtctlError {
  return new JwtctlError(
    'ERR_CONFIG_INCOMPLETE',
    'No setting says where to keep keys, users, and tokens, and this command cannot ask for it.',
    {
      hint: 'Add --store embedded (one SQLite file on this host), or --mysql-url and --redis-nodes (servers).',
    },
  );
}

const SERVERS: readonly SettingPath[] = [
  ...(['mysql.url', 'mysql.password', 'mysql.passwordFile', 'mysql.passwordCommand'] as const),
  ...(['redis.nodes', 'redis.mode', 'redis.sentinelMaster', 'redis.username'] as const),
  ...(['redis.password', 'redis.passwordFile', 'redis.passwordCommand'] as const),
];
