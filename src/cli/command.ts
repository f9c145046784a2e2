import { type Argument, Command, CommanderError, Help, type Option } from 'commander';
import { likelyDuration } from '../domain/shared/duration.js';
import { adviceOn, shownFlag } from './foreign-flags.js';
import { meantCommand, meantFlag, meantVerb } from './synonyms.js';

/** An error about a word of the command line, with what was probably meant. */
export class MistypedError extends CommanderError {
  readonly suggestion: string | null;
  /** What to do instead if nothing similar exists. */
  readonly advice: string | null;

  constructor(code: string, message: string, suggestion: string | null, advice: string | null = null) {
    super(1, code, `error: ${message}`);
    this.suggestion = suggestion;
    this.advice = advice;
  }
}

/** A command with examples, and with help that lists what belongs to it first and the global flags last. */
export class CliCommand extends Command {
  exampleLines: readonly string[] = [];

  examples(...lines: string[]): this {
    this.exampleLines = lines;
    return this;
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  override createHelp(): CommandHelp {
    return new CommandHelp();
  }

  /** Called by commander. */
  unknownCommand(): void {
    const [word = '', next = ''] = this.args;
    const message = `unknown command '${word}'`;
    const command = this.meantCommand(word);
    const meant =
      (IMPORTS.has(word.toLowerCase()) ? this.#meantImport(next) : null) ??
      (command === null ? null : `\`${(this.parent ?? this).name()} ${command}\``);
    throw new MistypedError('commander.unknownCommand', message, meant);
  }

  /** Called by commander. */
  unknownOption(flag: string): void {
    const message = `unknown option '${shownFlag(flag)}'`;
    throw new MistypedError('commander.unknownOption', message, this.#meantFlag(flag), adviceOn(flag));
  }

  /** Called by commander, before the two others. */
  missingMandatoryOptionValue({ flags }: Option): void {
    const message = `required option '${flags}' not specified`;
    const typed = this.args.find((word) => word.startsWith('-'));
    const [word] = this.registeredArguments.length > 0 ? [] : this.args;
    const meant = typed === undefined ? word && this.#meantValue(word) : this.#meantFlag(typed);
    throw new MistypedError('commander.missingMandatoryOptionValue', message, meant || null);
  }

  /** Called by commander. */
  _excessArguments(words: readonly string[]): void {
    const expected = this.registeredArguments.length;
    const message = `too many arguments for '${this.name()}'. Expected ${expected} but got ${words.length}.`;
    throw new MistypedError('commander.excessArguments', message, this.#meantValue(words[expected] ?? ''));
  }

  /** Returns the command that a word after this one probably means, such as `keys rotate`. */
  meantCommand(word: string): string | null {
    const program = this.parent ?? this;
    const verb = this === program ? null : meantVerb(word, this.commands.map(nameOf));
    if (verb !== null) return `${this.name()} ${verb}`;
    const groups = program.commands.flatMap((group) =>
      [group.name(), ...group.aliases()].map((name) => [name, group.name()] as const),
    );
    // Within a group, a word that is only similar to another command is far away.
    return meantCommand(word, new Map(groups), { isExact: this !== program });
  }

  /** `keys add k.pem`: only one verb of a group takes the file. */
  #meantImport(file: string): string | null {
    for (const verb of this.commands as CliCommand[]) {
      const flag = verb.#flagForFile(file);
      if (flag !== undefined) return `\`${pathOf(verb)} --${flag} ${file}\``;
    }
    return null;
  }

  #meantFlag(typed: string): string | null {
    const [flag = '', ...given] = typed.split('=');
    const value = given.length > 0 ? given.join('=') : (this.#typed[this.#typed.indexOf(typed) + 1] ?? '');
    // `--format pem`
    const form = [value, `${value}s`].find((one) => FORM_FLAGS.has(flag) && FORMS.has(one) && this.#has(one));
    if (form !== undefined) return `\`--${form}\``;
    const argument = meantFlag(flag, this.registeredArguments.map(nameOf));
    if (argument !== null) return `\`${pathOf(this)} ${argument.toUpperCase()}\`, without a flag`;
    const known = [...this.options, ...(this.parent?.parent?.options ?? this.parent?.options ?? [])];
    const meant = meantFlag(
      flag,
      known.flatMap(({ long }) => long?.slice(2) ?? []),
    );
    // `--payload jti=x`
    const isClaim = meant === 'claims' && CLAIM.test(value) && this.#has('claim');
    return meant === null ? null : `\`--${isClaim ? 'claim' : meant}\``;
  }

  /** Suggests what an extra argument was meant for: a part of the value before it, or a flag. */
  #meantValue(word: string): string | null {
    for (const [index, flag] of this.#typed.entries()) {
      const [number = '', unit] = this.#typed.slice(index + 1, index + 3);
      const duration = unit === word && flag.startsWith('--') ? likelyDuration(`${number} ${unit}`) : null;
      if (duration !== null) return `\`${flag} ${duration}\``;
    }
    const file = this.#flagForFile(word);
    if (file !== undefined) return `\`--${file} ${word}\``;
    const claim = CLAIM.exec(word)?.[1];
    if (claim !== undefined && this.#has('claim')) return `\`--claim ${claim}=VALUE\``;
    const main = this.registeredArguments.length > 0 ? undefined : MAIN_FLAGS.find((one) => this.#has(one));
    if (main === undefined || this.getOptionValue(main) !== undefined) return null;
    // The word itself may be a password or a token.
    return `\`--${main} ${main.toUpperCase()}\``;
  }

  #flagForFile(name: string): string | undefined {
    return FILE_FLAGS.find(([form, one]) => form.test(name) && this.#has(one))?.[1];
  }

  /** All words of the command line. */
  get #typed(): readonly string[] {
    // Not in the types of commander 14.
    return ((this.parent?.parent ?? this.parent ?? this) as CliCommand & { rawArgs: string[] }).rawArgs;
  }

  #has(flag: string): boolean {
    return this.options.some(({ long }) => long === `--${flag}`);
  }
}

/** What a command without arguments is about, best first. */
const MAIN_FLAGS = ['sub', 'kid', 'pem'];

/** `name=value` */
const CLAIM = /^([A-Za-z_][\w-]{0,40})=/;

/** Flags of other programs whose value is a flag here. */
const FORM_FLAGS = new Set(['--format', '--form', '--type', '--as', '--outform']);

const FORMS = new Set(['pem', 'jwk', 'jwks']);

/** Verbs of other programs that add what a file contains. */
const IMPORTS = new Set(['add', 'create', 'new', 'put', 'insert', 'load', 'upload']);

/** The flags for the names of key files. */
const FILE_FLAGS = [
  [/^[\w./-]{1,100}\.(pem|key|crt|cer)$/, 'pem'],
  [/^[\w./-]{1,100}\.(json|jwks?)$/, 'jwk'],
] as const;

function nameOf(named: { name(): string }): string {
  return named.name();
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

export class CommandHelp extends Help {
  override showGlobalOptions = true;

  override formatHelp(command: CliCommand): string {
    const { own, global } = this.flagsOf(command);
    const commands = this.visibleCommands(command);
    return `${[
      `Usage: ${this.commandUsage(command)}`,
      this.boxWrap(command.description(), this.helpWidth ?? FALLBACK_WIDTH),
      ...this.#section(
        'Arguments',
        command.registeredArguments.map((argument) => [argument.name(), argument.description]),
      ),
      ...this.#section(
        'Commands',
        commands.map((verb) => [verb.name(), summaryOf(verb)]),
      ),
      ...this.#section('Flags', this.#rows(own)),
      ...(command.exampleLines.length === 0
        ? []
        : [`Examples:\n${command.exampleLines.map((line) => `  $ ${line}`).join('\n')}`]),
      ...this.#section('Global flags', this.#rows(global)),
    ].join('\n\n')}\n`;
  }

  override commandUsage(command: Command): string {
    const names = [];
    for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
    const required = command.options.filter(({ mandatory }) => mandatory).map(({ flags }) => flags);
    const words = command.commands.length > 0 ? ['<command>'] : command.registeredArguments.map(usageOf);
    return [...names, ...words, ...required, '[flags]'].join(' ');
  }

  /** A group's `help` command works, but is not worth a line in each group. */
  override visibleCommands(command: Command): Command[] {
    return super.visibleCommands(command).filter((one) => command.parent === null || one.name() !== 'help');
  }

  override optionDescription({ description, argChoices, mandatory }: Option): string {
    const choices = argChoices === undefined ? '' : `: {${argChoices.join('|')}}`;
    const required = mandatory ? ' (required)' : '';
    return `${description.replace(/( \(default: .*\))?$/, `${choices}$1`)}${required}`;
  }

  /** All flags of the program itself are global, and so is `--help` of every command. */
  flagsOf(command: Command): { own: Option[]; global: Option[] } {
    const isGlobal = ({ long }: Option) => command.parent === null || long === '--help';
    const visible = this.visibleOptions(command);
    return {
      own: visible.filter((option) => !isGlobal(option)),
      global: [...this.visibleGlobalOptions(command), ...visible.filter(isGlobal)],
    };
  }

  #rows(options: readonly Option[]): Row[] {
    return options.map((option) => [this.optionTerm(option), this.optionDescription(option)]);
  }

  #section(title: string, rows: readonly Row[]): string[] {
    if (rows.length === 0) return [];
    const width = Math.max(...rows.map(([term]) => term.length));
    const items = rows.map(([term, description]) => this.formatItem(term, width, description, this));
    return [[`${title}:`, ...items].join('\n')];
  }
}

type Row = [term: string, description: string];

const FALLBACK_WIDTH = 80;

function summaryOf(command: Command): string {
  return (command.description().split('\n\n')[0] ?? '').replace(/\.$/, '');
}

function usageOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}
